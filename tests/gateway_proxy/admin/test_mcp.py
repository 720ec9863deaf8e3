"""MCP servers as the gateway finds them, and the approval of what changed."""

import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.paging import Listing
from gateway_proxy.admin.problem import Conflict, NotAllowed, NotFound, Unavailable
from tests.support.admin import HOME, actor_of
from tests.support.mcp_facts import NEW, OLD

OWNER = actor_of(Role.OWNER)


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_sees_tools_and_members_no_places(scene, role: Role) -> None:
    scene.view.mcp["github"] |= {"problem": "p", "last_error": "e"}
    servers = (await scene.admin.mcp.servers(actor_of(role), Listing())).data
    assert [tool["name"] for tool in servers[0]["tools"]] == ["search", "create"]
    hidden = role is Role.MEMBER
    for member in ("url", "problem", "last_error"):
        assert (servers[0][member] is None) is hidden
    assert (servers[1]["command"] is None) is hidden


async def test_credentials_are_not_shown(scene) -> None:
    scene.view.settings["mcp"]["servers"][0] |= {"auth": {"bearer": "***"}, "env": {"TOKEN": "***"}}
    shown = await scene.admin.mcp.find(OWNER, "github")
    assert "***" not in str(shown)
    assert shown["url"] == "https://mcp.example.com/mcp" and shown["price_per_call_usd"] == "0.50"
    with pytest.raises(NotFound):
        await scene.admin.mcp.find(OWNER, "none")


async def test_an_approval_is_kept_told_and_written_down(scene) -> None:
    server = await scene.admin.mcp.approve(OWNER, "github", "create", NEW)
    assert [tool["status"] for tool in server["tools"]] == ["ok", "ok"]
    assert scene.view.approved == [("github", "create", NEW)]
    (approval,) = await scene.store.mcp_tools.list(HOME)
    assert (approval.server, approval.tool, approval.fingerprint) == ("github", "create", NEW)
    rows = await scene.store.db.fetch("SELECT action, subject, actor FROM changes ORDER BY seq DESC LIMIT 1")
    assert tuple(rows[0]) == ("mcp.tool_approved", "mcp:github", OWNER.name)


async def test_what_cannot_be_approved(scene) -> None:
    admin = scene.admin.mcp
    for server, tool in (("none", "create"), ("github", "none"), ("github", "search")):
        with pytest.raises(NotFound):
            await admin.approve(OWNER, server, tool, NEW)
    with pytest.raises(Conflict):
        await admin.approve(OWNER, "github", "create", OLD)
    for role in (Role.MEMBER, Role.VIEWER):
        with pytest.raises(NotAllowed):
            await admin.approve(actor_of(role), "github", "create", NEW)
    assert not await scene.store.mcp_tools.list(HOME)


async def test_a_gateway_of_all_organizations_is_its_operators(scene) -> None:
    scene.view.settings["gateway"]["organization"] = "*"
    with pytest.raises(NotAllowed):
        await scene.admin.mcp.approve(
            Actor(name="x", role=Role.OWNER, organization="tenant"), "github", "create", NEW
        )
    cli = Actor(name="cli", role=Role.OWNER, organization=None, via="cli")
    await scene.admin.mcp.approve(cli, "github", "create", NEW)
    assert len(await scene.store.mcp_tools.list("*")) == 1


async def test_a_silent_gateway_is_unavailable(scene) -> None:
    scene.view.answers = False
    with pytest.raises(Unavailable):
        await scene.admin.mcp.servers(OWNER, Listing())
    with pytest.raises(Unavailable):
        await scene.admin.mcp.approve(OWNER, "github", "create", NEW)
