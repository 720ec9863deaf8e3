"""Plugins as the settings name them: that each is installed, is named once, and stands where it can.

Promises that only the names of entry points are read here, and only where the settings name something that is not
built in; nothing of a plugin is imported. Importing and making plugins belongs to `gateway_proxy.plugins`.
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from gateway_proxy.config.contradictions import Found, tables_at
from gateway_proxy.config.credentials import resolve_secret
from gateway_proxy.config.mistakes import KeyPath
from gateway_proxy.config.presets import Dialect
from gateway_proxy.config.secrets import Secret
from gateway_proxy.config.values import PLUGIN_NAME

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

STAGES = "gateway_proxy.stages"
DIALECTS = "gateway_proxy.dialects"
SINKS = "gateway_proxy.sinks"
BUILT_IN_STAGES = ("authenticate", "network", "route", "allow", "rate", "budget", "admission")
BUILT_IN_DIALECTS: tuple[str, ...] = get_args(Dialect)


def find_installed(group: str) -> "dict[str, list[EntryPoint]]":
    """The entry points of a group by name; more than one where several distributions offer the name."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry_point in entry_points(group=group):
        found.setdefault(entry_point.name, []).append(entry_point)
    return found


def find_plugin_mistakes(data: dict[str, Any]) -> Found:
    """Yield the place and the message of each mistake about plugins in the parsed settings."""
    stages, sinks = tables_at(data, "pipeline", "stages"), tables_at(data, "logs", "sinks")
    dialects = [
        (index, table)
        for index, table in tables_at(data, "providers")
        if table.get("dialect") not in BUILT_IN_DIALECTS
    ]
    yield from _check_uses(stages, ("pipeline", "stages"), "use", STAGES, "stage")
    yield from _check_uses(sinks, ("logs", "sinks"), "use", SINKS, "sink")
    yield from _check_uses(dialects, ("providers",), "dialect", DIALECTS, "dialect")
    for index, stage in stages:
        before = stage.get("before")
        if isinstance(before, str) and before not in BUILT_IN_STAGES:
            message = f'no built-in stage is named "{before}"; write one of: {", ".join(BUILT_IN_STAGES)}'
            yield ("pipeline", "stages", index, "before"), message
    used = [table.get("use") for _, table in (*stages, *sinks)] + [t.get("dialect") for _, t in dialects]
    plugins = data.get("plugins")
    for name in plugins if isinstance(plugins, dict) else ():
        if name not in used:
            yield ("plugins", name), f'nothing uses a plugin "{name}"; name it where it is used, or remove it'


def _check_uses(
    tables: Iterable[tuple[int, dict[str, Any]]], path: KeyPath, key: str, group: str, kind: str
) -> Found:
    named = [
        (index, name)
        for index, table in tables
        if isinstance(name := table.get(key), str) and PLUGIN_NAME.match(name)
    ]
    installed = find_installed(group) if named else {}
    first: dict[str, int] = {}
    for index, name in named:
        place = (*path, index, key)
        if kind != "dialect" and first.setdefault(name, index) != index:
            yield place, f'"{name}" is used by {".".join(path)}[{first[name]}] already; name it once'  # type: ignore[arg-type]
        elif name not in installed:
            yield place, _describe_missing(name, kind, installed)
        elif len(installed[name]) > 1:
            offers = " and ".join(_name_distribution(offer) for offer in installed[name])
            yield place, f'"{name}" is offered by {offers}; uninstall one of them'


def _describe_missing(name: str, kind: str, installed: Iterable[str]) -> str:
    known = [*(BUILT_IN_DIALECTS if kind == "dialect" else ()), *sorted(installed)]
    if not known:
        return f'no plugin offers a {kind} "{name}", and none is installed; install its package here, or remove it'
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    advice = (
        f'did you mean "{near[0]}"?'
        if near
        else f"write one of: {', '.join(known)}; or install its package here"
    )
    return f'no plugin offers a {kind} "{name}"; {advice}'


def _name_distribution(entry_point: "EntryPoint") -> str:
    return entry_point.value if entry_point.dist is None else entry_point.dist.name


def _resolve(value: Any, info: ValidationInfo) -> Any:
    """Any TOML value, with texts that are `env:NAME` or `file:PATH` read as the secrets they name."""
    if isinstance(value, str) and value.startswith(("env:", "file:")):
        return resolve_secret(value, info)
    if isinstance(value, dict):
        return {name: _resolve(item, info) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_resolve(item, info) for item in value)
    return value


def _hide(value: Any) -> Any:
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, dict):
        return {name: _hide(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_hide(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else str(value)  # dates and times


def reveal(value: Any) -> Any:
    """A plugin's setting as the plugin is given it: secrets as text, lists as lists."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {name: reveal(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [reveal(item) for item in value]
    return value


PluginValue = Annotated[Any, PlainValidator(_resolve), PlainSerializer(_hide), WithJsonSchema({})]
