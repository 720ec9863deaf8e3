"""Models and providers as the gateway tells them; members see names, not places."""

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.paging import Listing
from gateway_proxy.admin.problem import Unavailable
from tests.support.admin import actor_of


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_sees_names_and_members_no_places(scene, role: Role) -> None:
    catalog, actor = scene.admin.catalog, actor_of(role)
    models = (await catalog.models(actor, Listing())).data
    providers = (await catalog.providers(actor, Listing())).data
    assert [model["name"] for model in models] == ["gpt-4o", "free-model"]
    assert [provider["name"] for provider in providers] == ["openai", "Zeta", "alpha"]
    hidden = role is Role.MEMBER
    assert (models[0]["targets"] is None) is hidden
    assert (providers[0]["base_url"] is None) is hidden


async def test_a_silent_gateway_is_unavailable(scene) -> None:
    scene.view.answers = False
    for ask in (scene.admin.catalog.models, scene.admin.catalog.providers):
        with pytest.raises(Unavailable):
            await ask(actor_of(Role.OWNER), Listing())
