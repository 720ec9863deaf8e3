"""MCP servers: how they do, what they offer, and the approval of tools that have changed."""

from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from dashboard.posted import read_posted
from gateway_proxy.admin.paging import Listing
from gateway_proxy.admin.problem import Conflict, NotFound
from gateway_proxy.admin.roles import is_manager

COLUMNS = (
    "name", "transport", "url", "command", "protocol_version", "state", "problem", "calls", "failures", "last_error",
    "last_error_at", "price_per_call_usd",
)  # fmt: skip
PATH = "/configuration/mcp-servers"
_MOST = 10_000


async def list_servers(request: web.Request) -> web.StreamResponse:
    """The servers, or the same as a file."""
    search = request.query.get("search", "")
    listing = Listing(search=search, limit=_MOST)
    page = await request.app[ADMIN].mcp.servers(current_actor(request), listing)
    if wants_file(request):
        return await send_table(request, "mcp-servers", COLUMNS, page.data)
    servers = [server | {"waiting": _count_waiting(server)} for server in page.data]
    return render(request, "mcp/servers.html", {"servers": servers, "search": search})


async def show_server(request: web.Request) -> web.Response:
    """One server with its tools; those that have changed come first."""
    actor = current_actor(request)
    server = await request.app[ADMIN].mcp.find(actor, request.match_info["name"])
    tools = sorted(server["tools"], key=lambda tool: tool["status"] == "ok")
    context = {
        "server": server,
        "tools": tools,
        "waiting": _count_waiting(server),
        "may_approve": is_manager(actor),
    }
    return render(request, "mcp/server.html", context)


async def approve_tool(request: web.Request) -> web.Response:
    """Holds the tool for what was shown, if it is still that."""
    name, posted = request.match_info["name"], await read_posted(request)
    tool, fingerprint = str(posted.get("tool") or ""), str(posted.get("fingerprint") or "")
    try:
        await request.app[ADMIN].mcp.approve(current_actor(request), name, tool, fingerprint)
    except (Conflict, NotFound) as problem:
        await request.app[ADMIN].mcp.find(current_actor(request), name)  # a server that is not there is a 404
        return go_to(request, f"{PATH}/{name}", notice=f"Nothing was approved: {problem}.")
    return go_to(request, f"{PATH}/{name}", notice=f"{tool} is approved as it is now.")


def _count_waiting(server: dict[str, Any]) -> int:
    return sum(tool["status"] != "ok" for tool in server["tools"])


ROUTES = [
    web.get(PATH, list_servers),
    web.get(PATH + "/{name}", show_server),
    web.post(PATH + "/{name}/approve", approve_tool),
]
