"""MCP servers as the settings have them."""

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


ROUTES = [web.get("/configuration/mcp-servers", list_servers)]
