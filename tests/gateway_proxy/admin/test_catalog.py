"""Models, providers and MCP servers as the gateway tells them; members see names, not places."""

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
    servers = (await catalog.mcp_servers(actor, Listing())).data
    assert [model["name"] for model in models] == ["gpt-4o", "free-model"]
    assert [provider["name"] for provider in providers] == ["openai", "Zeta", "alpha"]
    hidden = role is Role.MEMBER
    assert (models[0]["targets"] is None) is hidden
    assert (providers[0]["base_url"] is None) is hidden
    assert (servers[0]["url"] is None) is hidden
    assert (servers[1]["command"] is None) is hidden


async def test_mcp_servers_are_shown_without_credentials(scene) -> None:
    scene.view.settings["mcp"]["servers"][0] |= {"auth": {"bearer": "***"}, "env": {"TOKEN": "***"}}
    shown = (await scene.admin.catalog.mcp_servers(actor_of(Role.OWNER), Listing())).data
    assert shown == [
        {
            "name": "github",
            "url": "https://mcp.example.com/mcp",
            "command": None,
            "price_per_call_usd": "0.50",
        },
        {"name": "local", "url": None, "command": ["npx", "-y", "server"], "price_per_call_usd": "0.00"},
    ]


async def test_a_silent_gateway_is_unavailable(scene) -> None:
    scene.view.answers = False
    for ask in (scene.admin.catalog.models, scene.admin.catalog.providers, scene.admin.catalog.mcp_servers):
        with pytest.raises(Unavailable):
            await ask(actor_of(Role.OWNER), Listing())
