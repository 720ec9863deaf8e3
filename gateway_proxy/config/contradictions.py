"""Mistakes that no single table shows: names used twice, providers that do not exist, settings that need another.

Works on the parsed file, not on the models, so that these are found even where a table has mistakes of its own.
Anything of the wrong type is left to the models.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from gateway_proxy.config.certificates import find_certificate_problem
from gateway_proxy.config.credentials import resolve_text
from gateway_proxy.config.mistakes import KeyPath
from gateway_proxy.config.values import LoadContext
from gateway_proxy.core.addresses import is_public

Found = Iterator[tuple[KeyPath, str]]


def find_contradictions(data: dict[str, Any], context: LoadContext) -> Found:
    """Yield the place and the message of each contradiction in the parsed settings."""
    yield from _find_twins(tables_at(data, "providers"), ("providers",))
    yield from _find_twins(tables_at(data, "models"), ("models",))
    yield from _find_twins(tables_at(data, "mcp", "servers"), ("mcp", "servers"))
    yield from _check_targets(data)
    yield from _check_plans(data)
    yield from _check_workers(data, context)
    yield from _check_pairs(data)
    yield from _check_listeners(table_at(data, "server"), context)
    yield from _check_staleness(table_at(data, "gateway"))
    yield from _check_telemetry(table_at(data, "telemetry"))
    for index, server in tables_at(data, "mcp", "servers"):
        yield from _check_mcp_server(server, ("mcp", "servers", index))


def table_at(data: Any, *keys: str) -> dict[str, Any]:
    """The table that stands there; an empty one where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def tables_at(data: Any, *keys: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of the list that stands there, each with its position; what is none is left out."""
    items = table_at(data, *keys[:-1]).get(keys[-1])
    if not isinstance(items, list | tuple):
        return []
    return [(index, item) for index, item in enumerate(items) if isinstance(item, dict)]


def _find_twins(tables: list[tuple[int, dict[str, Any]]], path: KeyPath) -> Found:
    first: dict[str, int] = {}
    for index, table in tables:
        name = table.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            earlier = f"{'.'.join(map(str, path))}[{first[name]}]"
            yield (*path, index, "name"), f'"{name}" is already the name of {earlier}; write another name'


def _check_targets(data: dict[str, Any]) -> Found:
    declared = (table.get("name") for _, table in tables_at(data, "providers"))
    names = list(dict.fromkeys(name for name in declared if isinstance(name, str)))
    for index, model in tables_at(data, "models"):
        for position, target in tables_at(model, "targets"):
            provider = target.get("provider")
            if isinstance(provider, str) and provider not in names:
                known = ", ".join(names) if names else "none is configured"
                path = ("models", index, "targets", position, "provider")
                yield path, f'no provider is named "{provider}"; write one of: {known}; or add [[providers]]'


def _check_plans(data: dict[str, Any]) -> Found:
    for index, model in tables_at(data, "models"):
        tiers = [target.get("tier") for _, target in tables_at(model, "targets")]
        if len(tiers) < 2 or any(tier is not None and tiers.count(tier) > 1 for tier in tiers):
            continue
        for name in ("sticky", "choose"):
            if model.get(name) not in (None, [], "weight"):
                yield (
                    ("models", index, name),
                    "decides among targets of the same tier, and here are none; write tier = 1 on them",
                )


def _check_workers(data: dict[str, Any], context: LoadContext) -> Found:
    workers = table_at(data, "server").get("workers")
    if not isinstance(workers, int) or workers <= 1:
        return
    try:
        store = resolve_text(table_at(data, "storage").get("url", "sqlite:"), context)
        shared = resolve_text(table_at(data, "shared").get("redis_url", ""), context)
    except ValueError:
        return
    missing = []
    if not store.startswith("postgresql://"):
        missing.append('storage.url = "postgresql://…"')
    if not shared:
        missing.append('shared.redis_url = "redis://…"')
    if missing:
        yield ("server", "workers"), f"more than 1 needs {' and '.join(missing)}; write them, or workers = 1"


def _check_pairs(data: dict[str, Any]) -> Found:
    pairs = ((("server", "tls"), "cert", "key"), (("dashboard", "oidc"), "issuer", "client_id"))
    for path, one, other in pairs:
        table = table_at(data, *path)
        for present, absent in ((one, other), (other, one)):
            if table.get(present) and not table.get(absent):
                yield (*path, present), f"needs {absent} beside it; write both or none"


def _check_listeners(server: dict[str, Any], context: LoadContext) -> Found:
    listen = server.get("listen", "127.0.0.1:8080")
    if _collide(str(listen), str(server.get("admin_listen", ""))):
        yield ("server", "admin_listen"), "is the address of listen; write another port, or leave it out"
    tls = table_at(server, "tls")
    cert, key = tls.get("cert"), tls.get("key")
    if isinstance(cert, str) and isinstance(key, str) and cert and key:
        problem = find_certificate_problem(context.folder / cert, context.folder / key)
        if problem:
            yield ("server", "tls", "cert"), problem


def _collide(one: str, other: str) -> bool:
    """Whether two listeners want the same port of the same address, which all addresses include."""
    (one_host, _, one_port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    if one_port != other_port or one_port in ("", "0"):
        return False
    everywhere = "[::]" if one_host.startswith("[") else "0.0.0.0"
    same_family = one_host.startswith("[") == other_host.startswith("[")
    return one_host == other_host or (same_family and everywhere in (one_host, other_host))


def _check_staleness(gateway: dict[str, Any]) -> Found:
    strict, most = gateway.get("strict_staleness_seconds", 30), gateway.get("max_staleness_seconds", 900)
    if isinstance(strict, int | float) and isinstance(most, int | float) and strict > most:
        yield (
            ("gateway", "strict_staleness_seconds"),
            f"must not be longer than max_staleness_seconds; write at most {most}",
        )


def _check_telemetry(telemetry: dict[str, Any]) -> Found:
    if telemetry.get("traces") is not True:
        return
    try:
        found = importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if found is None:
        yield ("telemetry", "traces"), "needs OpenTelemetry's packages; pip install 'gateway-proxy[otel]'"


_OF_URLS = ("auth", "transport", "allow_private")
_OF_COMMANDS = ("env", "cwd", "limits")


def _check_mcp_server(server: dict[str, Any], path: KeyPath) -> Found:
    has_url, has_command = bool(server.get("url")), bool(server.get("command"))
    if has_url == has_command:
        problem = "has both url and command" if has_url else "has neither url nor command"
        yield path, f'{problem}; write one of url = "https://…" and command = ["program", "argument"]'
    elif has_url:
        for name in (name for name in _OF_COMMANDS if server.get(name)):
            yield (*path, name), "only goes with command; for a URL write auth = { bearer = … }"
        yield from _check_mcp_addresses(server, path)
    else:
        for name in (name for name in _OF_URLS if server.get(name)):
            yield (*path, name), "only goes with url; for a command write env = { … }"
    signs_in = [name for name in ("bearer", "header", "basic", "oauth2") if name in table_at(server, "auth")]
    if len(signs_in) > 1:
        yield (*path, "auth"), f"has {' and '.join(signs_in)}; write one of them"


def _check_mcp_addresses(server: dict[str, Any], path: KeyPath) -> Found:
    if server.get("allow_private") is True:
        return
    oauth2 = table_at(server, "auth", "oauth2")
    for place, url in (
        (("url",), server.get("url")),
        (("auth", "oauth2", "token_url"), oauth2.get("token_url")),
    ):
        if isinstance(url, str) and _is_plainly_private(url):
            yield (*path, *place), "leads to a private address; write allow_private = true if that is meant"


def _is_plainly_private(url: str) -> bool:
    """Whether the URL itself says so; where a name leads is seen when it is connected to."""
    with contextlib.suppress(ValueError):
        host = (urlsplit(url).hostname or "").rstrip(".")
        return host == "localhost" or host.endswith(".localhost") or not is_public(host)
    return False
