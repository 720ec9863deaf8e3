"""Settings: what is in force, the providers and models with their prices, who hears of events. All read only but tests."""

from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.paging import Listing

PROVIDER_COLUMNS = ("name", "dialect", "base_url", "health", "models")
MODEL_COLUMNS = ("name", "declared", "targets", "price", "price_source")
ENDPOINT_COLUMNS = ("id", "kind", "name", "organization", "events", "status", "disabled_reason")
DELIVERY_COLUMNS = (
    "id", "type", "key_id", "endpoint", "endpoint_name", "state", "attempts", "http_status", "error", "created_at",
    "attempted_at", "next_at",
)  # fmt: skip
STATES = {"": "All", "pending": "Pending", "delivered": "Delivered", "failed": "Failed"}
_MOST = 100_000
_PAGE = 100
_DELIVERIES = 50


async def show_settings(request: web.Request) -> web.StreamResponse:
    """The settings in force, or the same as a file. Members, who may not see them, get their tokens."""
    actor = current_actor(request)
    if actor.role is Role.MEMBER:
        return go_to(request, "/settings/tokens")
    config = await request.app[ADMIN].config.show(actor)
    sections = list_settings(config["settings"])
    if wants_file(request):
        rows = [{"setting": path, "value": value} for _, pairs in sections for path, value in pairs]
        return await send_table(request, "settings", ("setting", "value"), rows)
    return render(request, "settings/config.html", {"config": config, "sections": sections})


def list_settings(settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Section by section the settings by their key paths, values as TOML would write them, more or less."""
    return [
        (name, [(path, _write(value)) for path, value in _flatten(name, part)])
        for name, part in settings.items()
    ]


async def list_providers(request: web.Request) -> web.StreamResponse:
    """Providers with their health."""
    search = request.query.get("search", "")
    page = await request.app[ADMIN].catalog.providers(
        current_actor(request), Listing(search=search, limit=_MOST)
    )
    if wants_file(request):
        return await send_table(request, "providers", PROVIDER_COLUMNS, page.data)
    return render(request, "settings/providers.html", {"providers": page.data, "search": search})


async def list_models(request: web.Request) -> web.StreamResponse:
    """Models with their targets and prices."""
    search, catalog = request.query.get("search", ""), request.app[ADMIN].catalog
    if wants_file(request):
        whole = await catalog.models(current_actor(request), Listing(search=search, limit=_MOST))
        return await send_table(request, "models", MODEL_COLUMNS, whole.data)
    listing = Listing(search=search, limit=_PAGE, cursor=request.query.get("cursor"))
    page = await catalog.models(current_actor(request), listing)
    context = {
        "models": page.data,
        "search": search,
        "next_page": _address(request, cursor=page.next_cursor) if page.next_cursor else "",
        "first_page": _address(request) if "cursor" in request.query else "",
    }
    return render(request, "settings/models.html", context)


async def list_notifications(request: web.Request) -> web.StreamResponse:
    """Endpoints, and how deliveries went; `?table=endpoints` exports the former."""
    actor, service = current_actor(request), request.app[ADMIN].notifications
    endpoints = await service.endpoints(actor)
    if wants_file(request) and request.query.get("table") == "endpoints":
        return await send_table(request, "endpoints", ENDPOINT_COLUMNS, endpoints)
    state, endpoint = request.query.get("state", ""), request.query.get("endpoint", "")
    if state not in STATES:
        raise web.HTTPBadRequest
    page = await service.deliveries(
        actor,
        endpoint=endpoint or None,
        state=state or None,
        limit=_MOST if wants_file(request) else _DELIVERIES,
        cursor=request.query.get("cursor"),
    )
    if wants_file(request):
        return await send_table(request, "deliveries", DELIVERY_COLUMNS, page.data)
    context = {
        "endpoints": endpoints,
        "deliveries": page.data,
        "state": state,
        "states": STATES,
        "endpoint": endpoint,
        "next_page": _address(request, cursor=page.next_cursor) if page.next_cursor else "",
        "first_page": _address(request) if "cursor" in request.query else "",
    }
    return render(request, "settings/notifications.html", context)


async def test_endpoint(request: web.Request) -> web.Response:
    """Sends one event to one endpoint and tells how it went."""
    done = await request.app[ADMIN].notifications.send_test(current_actor(request), request.match_info["id"])
    return go_to(request, "/settings/notifications", notice=describe_delivery(done))


async def enable_endpoint(request: web.Request) -> web.Response:
    """Takes an endpoint up again that had said it is gone."""
    done = await request.app[ADMIN].notifications.enable(current_actor(request), request.match_info["id"])
    return go_to(request, "/settings/notifications", notice=f"{done['name']} hears of events again.")


async def redeliver(request: web.Request) -> web.Response:
    """Sends an event once more."""
    done = await request.app[ADMIN].notifications.redeliver(current_actor(request), request.match_info["id"])
    return go_to(
        request, "/settings/notifications", notice=f"{done['type']} is on its way to {done['endpoint_name']}."
    )


def describe_delivery(delivery: Mapping[str, Any]) -> str:
    """How a test went, in a sentence."""
    name = delivery["endpoint_name"]
    if delivery["state"] == "delivered":
        status = f" It answered {delivery['http_status']}." if delivery["http_status"] else ""
        return f"The test event reached {name}.{status}"
    if delivery["state"] == "pending":
        return f"The test event for {name} is still on its way; see the list of deliveries."
    return f"The test event did not reach {name}: {delivery['error'] or 'no reason is known'}."


def _flatten(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flatten(f"{path}.{name}", part)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            label = f"{path}.{item['name']}" if "name" in item else f"{path}[{number}]"
            yield from _flatten(label, {name: part for name, part in item.items() if name != "name"} or item)
    else:
        yield path, value


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == "":
        return "not set"
    if isinstance(value, list | tuple):
        return ", ".join(map(_write, value)) if value else "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_write(part)}" for name, part in value.items()) if value else "none"
    return str(value)


def _address(request: web.Request, *, cursor: str | None = None) -> str:
    query = [(name, value) for name, value in request.query.items() if name != "cursor"]
    return str(request.rel_url.with_query([*query, ("cursor", cursor)] if cursor else query))


ROUTES = [
    web.get("/settings", show_settings),
    web.get("/settings/providers", list_providers),
    web.get("/settings/models", list_models),
    web.get("/settings/notifications", list_notifications),
    web.post("/settings/notifications/endpoints/{id}/test", test_endpoint),
    web.post("/settings/notifications/endpoints/{id}/enable", enable_endpoint),
    web.post("/settings/notifications/deliveries/{id}/redeliver", redeliver),
]
