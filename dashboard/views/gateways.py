"""Gateways: which data planes are attached, whether they have the last change, and who may serve."""

from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from gateway_proxy.admin.paging import Listing

COLUMNS = (
    "id", "name", "status", "version", "organization", "config_digest", "config_differs", "providers", "applied_changes", "changes_behind", "started_at",
    "last_seen_at", "revoked_at",
)  # fmt: skip
STATUSES = {
    "all": "All",
    "healthy": "Healthy",
    "pending": "Pending",
    "offline": "Offline",
    "revoked": "Revoked",
}
_MOST = 10_000


async def list_gateways(request: web.Request) -> web.StreamResponse:
    """The list, or the same as a file."""
    actor = current_actor(request)
    search, status = request.query.get("search", ""), request.query.get("status", "all")
    if status not in STATUSES:
        raise web.HTTPBadRequest
    listing = Listing(search=search, limit=_MOST)
    page = await request.app[ADMIN].gateways.search(actor, listing, None if status == "all" else status)
    if wants_file(request):
        return await send_table(request, "gateways", COLUMNS, page.data)
    context = {
        "gateways": page.data,
        "search": search,
        "status": status,
        "statuses": STATUSES,
        "differing": any(gateway["config_differs"] for gateway in page.data),
    }
    return render(request, "gateways/list.html", context)


async def show_gateway(request: web.Request) -> web.Response:
    """One gateway, with what may be done about it."""
    gateway = await request.app[ADMIN].gateways.find(current_actor(request), request.match_info["id"])
    return render(request, "gateways/gateway.html", {"gateway": gateway})


async def change_gateway(request: web.Request) -> web.Response:
    """Revoke, allow or forget."""
    actor, gateway_id, act = current_actor(request), request.match_info["id"], request.match_info["act"]
    service = request.app[ADMIN].gateways
    if act == "forget":
        name = (await service.find(actor, gateway_id))["name"]
        await service.forget(actor, gateway_id)
        return go_to(request, "/gateways", notice=f"{name} was forgotten. If it still runs, it comes back.")
    done: dict[str, Any]
    if act == "revoke":
        done = await service.revoke(actor, gateway_id)
        return go_to(request, f"/gateways/{gateway_id}", notice=f"{done['name']} refuses all traffic now.")
    done = await service.allow(actor, gateway_id)
    return go_to(request, f"/gateways/{gateway_id}", notice=f"{done['name']} may serve again.")


ROUTES = [
    web.get("/gateways", list_gateways),
    web.get("/gateways/{id}", show_gateway),
    web.post("/gateways/{id}/{act:revoke|allow|forget}", change_gateway),
]
