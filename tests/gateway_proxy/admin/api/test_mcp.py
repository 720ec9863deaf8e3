"""`/mcp/servers` over HTTP."""

from typing import Any

from gateway_proxy.admin.actor import Role
from tests.support.admin import actor_of
from tests.support.mcp_facts import NEW, OLD

OWNER = actor_of(Role.OWNER)
APPROVE = "/mcp/servers/github/approve"


async def test_a_server_with_its_tools(api) -> None:
    status, server, _ = await api.call("GET", "/mcp/servers/github", OWNER)
    assert status == 200 and [tool["status"] for tool in server["tools"]] == ["ok", "changed"]
    assert (await api.call("GET", "/mcp/servers/none", OWNER))[0] == 404


async def test_a_changed_tool_is_approved_once(api) -> None:
    body = {"tool": "create", "fingerprint": NEW}

    async def approve(document: dict[str, Any], role: Role = Role.OWNER) -> tuple[int, Any, Any]:
        return await api.call("POST", APPROVE, actor_of(role), document)

    assert (await approve({**body, "fingerprint": OLD}))[0] == 409
    assert (await approve(body, Role.VIEWER))[0] == 403
    status, server, _ = await approve(body)
    assert status == 200 and {tool["status"] for tool in server["tools"]} == {"ok"}
    assert (await approve(body))[0] == 404
    assert (await approve({"tool": "create"}))[0] == 422
