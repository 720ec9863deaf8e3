"""Who hears of events, a test of each endpoint, and the log of deliveries."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from dashboard.lists import each_row, page_links

ENDPOINT_COLUMNS = ("id", "kind", "name", "organization", "events", "status", "disabled_reason")
DELIVERY_COLUMNS = (
    "id", "type", "key_id", "endpoint", "endpoint_name", "state", "attempts", "http_status", "error", "created_at",
    "attempted_at", "next_at",
)  # fmt: skip
STATES = {"": "All", "pending": "Pending", "delivered": "Delivered", "failed": "Failed"}
PATH = "/settings/notifications"
_PAGE = 50


async def list_notifications(request: web.Request) -> web.StreamResponse:
    """Endpoints and deliveries; a file has the deliveries, with `?table=endpoints` the endpoints."""
    actor, service = current_actor(request), request.app[ADMIN].notifications
    endpoints = await service.endpoints(actor)
    state, endpoint = request.query.get("state", ""), request.query.get("endpoint", "")
    if state not in STATES:
        raise web.HTTPBadRequest
    search = partial(service.deliveries, actor, endpoint=endpoint or None, state=state or None)
    if wants_file(request):
        if request.query.get("table") == "endpoints":
            return await send_table(request, "endpoints", ENDPOINT_COLUMNS, endpoints)
        return await send_table(request, "deliveries", DELIVERY_COLUMNS, each_row(search))
    page = await search(limit=_PAGE, cursor=request.query.get("cursor"))
    context = {
        "endpoints": endpoints,
        "deliveries": page.data,
        "state": state,
        "states": STATES,
        "endpoint": endpoint,
        **page_links(request, page.next_cursor),
    }
    return render(request, "settings/notifications.html", context)


async def send_test(request: web.Request) -> web.Response:
    """Sends one event to one endpoint and tells how it went."""
    done = await request.app[ADMIN].notifications.send_test(current_actor(request), request.match_info["id"])
    return go_to(request, PATH, notice=describe_delivery(done))


async def enable_endpoint(request: web.Request) -> web.Response:
    """Takes an endpoint up again that had said it is gone."""
    done = await request.app[ADMIN].notifications.enable(current_actor(request), request.match_info["id"])
    return go_to(request, PATH, notice=f"{done['name']} hears of events again.")


async def redeliver(request: web.Request) -> web.Response:
    """Sends an event once more."""
    done = await request.app[ADMIN].notifications.redeliver(current_actor(request), request.match_info["id"])
    return go_to(request, PATH, notice=f"{done['type']} is on its way to {done['endpoint_name']}.")


def describe_delivery(delivery: Mapping[str, Any]) -> str:
    """How a test went, in a sentence."""
    name = delivery["endpoint_name"]
    if delivery["state"] == "delivered":
        status = f" It answered {delivery['http_status']}." if delivery["http_status"] else ""
        return f"The test event reached {name}.{status}"
    if delivery["state"] == "pending":
        return f"The test event for {name} is still on its way; see the list of deliveries."
    return f"The test event did not reach {name}: {delivery['error'] or 'no reason is known'}."


ROUTES = [
    web.get(PATH, list_notifications),
    web.post(f"{PATH}/endpoints/{{id}}/test", send_test),
    web.post(f"{PATH}/endpoints/{{id}}/enable", enable_endpoint),
    web.post(f"{PATH}/deliveries/{{id}}/redeliver", redeliver),
]
