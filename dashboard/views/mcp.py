"""MCP servers as the settings have them, and the log of what was called there."""

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, render
from gateway_proxy.admin.paging import Listing

COLUMNS = ("name", "url", "command", "price_per_call_usd")
_MOST = 10_000


async def list_servers(request: web.Request) -> web.StreamResponse:
    """The servers, or the same as a file."""
    search = request.query.get("search", "")
    listing = Listing(search=search, limit=_MOST)
    page = await request.app[ADMIN].catalog.mcp_servers(current_actor(request), listing)
    if wants_file(request):
        return await send_table(request, "mcp-servers", COLUMNS, page.data)
    return render(request, "mcp/servers.html", {"servers": page.data, "search": search})


async def show_log(request: web.Request) -> web.Response:
    """The tab of the log that is about MCP."""
    current_actor(request)
    return render(request, "logs/mcp.html")


ROUTES = [web.get("/configuration/mcp-servers", list_servers), web.get("/logs/mcp", show_log)]
