"""Settings: what is in force, and the providers and models with their prices. Read only: they are changed in the file."""

from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from dashboard.lists import page_links
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.paging import Listing

PROVIDER_COLUMNS = ("name", "dialect", "base_url", "health", "models")
MODEL_COLUMNS = ("name", "declared", "targets", "price", "price_source")
_MOST = 100_000
_PAGE = 100


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
        **page_links(request, page.next_cursor),
    }
    return render(request, "settings/models.html", context)


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
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


ROUTES = [
    web.get("/settings", show_settings),
    web.get("/settings/providers", list_providers),
    web.get("/settings/models", list_models),
]
