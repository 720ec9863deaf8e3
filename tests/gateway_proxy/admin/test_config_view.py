"""The settings in force: for those who see the whole organization."""

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import NotAllowed, Unavailable
from tests.support.admin import actor_of


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.VIEWER])
async def test_readers_see_what_the_gateway_says(scene, role: Role) -> None:
    assert await scene.admin.config.show(actor_of(role)) == await scene.view.config()


async def test_members_do_not(scene) -> None:
    with pytest.raises(NotAllowed):
        await scene.admin.config.show(actor_of(Role.MEMBER))


async def test_a_silent_gateway_is_unavailable(scene) -> None:
    scene.view.answers = False
    with pytest.raises(Unavailable):
        await scene.admin.config.show(actor_of(Role.OWNER))
