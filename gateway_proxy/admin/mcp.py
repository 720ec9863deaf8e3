"""MCP servers: how the settings reach them, how they do, what they offer, and the approval of changed tools."""

from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.gateway_view import GatewayView, ask
from gateway_proxy.admin.paging import Listing, Page, cut_page
from gateway_proxy.admin.problem import Conflict, NotAllowed, NotFound
from gateway_proxy.admin.roles import is_member, require_manager
from gateway_proxy.core.approval import Approval
from gateway_proxy.core.money import format_usd, parse_usd
from gateway_proxy.storage.mcp_tools import McpToolRows

# Of gateways that serve every organization, the operator's members are in this one.
_OPERATOR = "default"
_NOT_FOR_MEMBERS = ("url", "command", "problem", "last_error")


class McpAdmin:
    """Everybody who is signed in sees names and tools, since keys are limited to them. Raises Unavailable."""

    def __init__(self, rows: McpToolRows, view: GatewayView) -> None:
        self._rows = rows
        self._view = view

    async def servers(self, actor: Actor, listing: Listing) -> Page:
        """Server objects in the order of the settings; how they are reached is not for members."""
        settings: dict[str, Any] = (await ask(self._view.config()))["settings"]
        live = {server["name"]: server for server in await ask(self._view.mcp_servers())}
        servers = [
            _describe(server, live[server["name"]])
            for server in settings["mcp"]["servers"]
            if server["name"] in live
        ]
        if is_member(actor):
            servers = [server | dict.fromkeys(_NOT_FOR_MEMBERS) for server in servers]
        return cut_page(servers, listing)

    async def find(self, actor: Actor, name: str) -> dict[str, Any]:
        """One server object. Raises NotFound."""
        page = await self.servers(actor, Listing(limit=10_000))
        for server in page.data:
            if server["name"] == name:
                return server
        raise NotFound(f"there is no MCP server {name}")

    async def approve(self, actor: Actor, name: str, tool: str, fingerprint: str) -> dict[str, Any]:
        """Hold a changed tool for what it is now, if that is still what `fingerprint` says. Returns the server object.

        Raises NotFound, NotAllowed, Conflict where the tool is another one by now.
        """
        await self.find(actor, name)
        require_manager(actor, "approve tools of MCP servers")
        settings: dict[str, Any] = (await ask(self._view.config()))["settings"]
        organization = settings["gateway"]["organization"]
        if organization == "*" and actor.organization not in (None, _OPERATOR):
            raise NotAllowed(
                f"the gateway serves every organization; a member of {_OPERATOR} may approve its tools"
            )
        changed = await ask(self._view.changed_tool(name, tool))
        if changed is None:
            raise NotFound(f"no tool of that name waits to be approved at {name}")
        if changed["fingerprint"] != fingerprint:
            raise Conflict("the tool has changed again since it was shown; look at it and approve it anew")
        approval = Approval(name, tool, fingerprint, changed["definition"])
        await self._rows.approve(organization, approval, home=actor.home, actor=actor.name, ip=actor.ip)
        await ask(self._view.approve_tool(name, tool, fingerprint, approval.definition))
        return await self.find(actor, name)


def _describe(server: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": server["name"],
        "url": server["url"],
        "command": server["command"] or None,
        "price_per_call_usd": format_usd(parse_usd(server["price_per_call"])),
        **{name: value for name, value in live.items() if name != "name"},
    }
