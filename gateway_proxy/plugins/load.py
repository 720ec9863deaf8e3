"""Settings → plugins: imports what the settings name, makes it, and says which line is to blame if that fails.

Promises all mistakes at once as a `ConfigError`, without a secret in any of them. That the names exist was checked
when the settings were read (`config.plugins`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

from gateway_proxy.config import Config, ConfigError, Secret
from gateway_proxy.config.load import locate_mistakes
from gateway_proxy.config.mistakes import KeyPath
from gateway_proxy.config.plugins import (
    BUILT_IN_DIALECTS,
    BUILT_IN_STAGES,
    DIALECTS,
    SINKS,
    STAGES,
    find_installed,
    reveal,
)
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.plugins.guard import AsyncGuard, Guard
from gateway_proxy.plugins.sink import Sink
from gateway_proxy.plugins.stage import AsyncStage, Stage

_NEEDS_BODY = BUILT_IN_STAGES[BUILT_IN_STAGES.index("route") + 1 :]
_DIALECT_MEMBERS = ("name", "speaks", "encode", "tap", "upstream_headers")
Made = Mapping[tuple[str, str], tuple[Any, Any]]


@dataclass(frozen=True)
class Plugins:
    """Everything that one revision of the settings uses. `guards`: (the stage that it runs before, the guard)."""

    guards: tuple[tuple[str, Guard | AsyncGuard], ...] = ()
    dialects: Mapping[str, Dialect] = field(default_factory=dict)
    sinks: Mapping[str, Sink] = field(default_factory=dict)
    made: Made = field(default_factory=dict)  # (group, name) → (settings, plugin)


NO_PLUGINS = Plugins()


def load_plugins(config: Config, kept: Plugins = NO_PLUGINS) -> Plugins:
    """What is the same in `kept` is taken over. Raises ConfigError."""
    loader = _Loader(config, kept)
    guards: list[tuple[str, Guard | AsyncGuard]] = []
    for index, use in enumerate(config.pipeline.stages):
        path = ("pipeline", "stages", index)
        stage = loader.make(STAGES, use.use, (*path, "use"), _find_stage_flaw)
        if stage is None:
            continue
        needs_body = use.before in _NEEDS_BODY
        if isinstance(stage, Stage):
            guards.append((use.before, Guard(use.use, stage, needs_body=needs_body)))
        elif use.before == "admission":
            message = (
                'is an AsyncStage, and between budget and admission nothing may wait; write before = "budget"'
            )
            loader.blame((*path, "before"), message)
        else:
            guards.append((use.before, AsyncGuard(use.use, stage, needs_body=needs_body)))
    dialects = {
        provider.dialect: loader.make(
            DIALECTS, provider.dialect, ("providers", index, "dialect"), _find_dialect_flaw
        )
        for index, provider in reversed(tuple(enumerate(config.providers)))
        if provider.dialect not in BUILT_IN_DIALECTS
    }
    sinks = {
        use.use: loader.make(SINKS, use.use, ("logs", "sinks", index, "use"), _find_sink_flaw)
        for index, use in enumerate(config.logs.sinks)
    }
    if loader.found:
        raise ConfigError(locate_mistakes(config, loader.found))
    return Plugins(tuple(guards), dialects, sinks, loader.made) if loader.made else NO_PLUGINS


class _Loader:
    """Makes each plugin once and collects what is wrong."""

    def __init__(self, config: Config, kept: Plugins) -> None:
        self._config = config
        self._kept = kept
        self.found: list[tuple[KeyPath, str]] = []
        self.made: dict[tuple[str, str], tuple[Any, Any]] = {}

    def blame(self, path: KeyPath, message: str) -> None:
        self.found.append((path, message))

    def make(self, group: str, name: str, path: KeyPath, find_flaw: Callable[[Any], str]) -> Any:
        """The plugin, or None once somebody was blamed."""
        settings = self._config.plugins.get(name, {})
        known = self.made.get((group, name)) or self._kept.made.get((group, name))
        if known is not None and known[0] == settings:
            self.made[group, name] = known
            return known[1]
        offers = find_installed(group).get(name, ())
        if len(offers) != 1:  # it was there when the settings were read
            self.blame(path, f'the plugin "{name}" is not installed any more')
            return None
        try:
            factory = offers[0].load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is somebody else's code
            self.blame(path, f'the plugin "{name}" cannot be imported: {type(error).__name__}: {error}')
            return None
        try:
            plugin = factory(**reveal(settings))
        except (Exception, SystemExit) as error:  # noqa: BLE001
            place = ("plugins", name) if settings else path
            self.blame(place, _without_secrets(f"the plugin refuses its settings: {error}", settings))
            return None
        if flaw := find_flaw(plugin):
            self.blame(path, f'the plugin "{name}" {flaw}')
            return None
        self.made[group, name] = (settings, plugin)
        return plugin


def _find_stage_flaw(plugin: Any) -> str:
    if isinstance(plugin, Stage):
        return "waits in its check; make it an AsyncStage" if iscoroutinefunction(plugin.check) else ""
    if not isinstance(plugin, AsyncStage):
        return "makes no gateway_proxy.Stage and no gateway_proxy.AsyncStage"
    if not iscoroutinefunction(plugin.check):
        return "does not wait in its check; make it a Stage"
    seconds = plugin.timeout_seconds
    return (
        "" if isinstance(seconds, int | float) and 0 < seconds <= 60 else "needs timeout_seconds from 0 to 60"
    )


def _find_dialect_flaw(plugin: Any) -> str:
    missing = [name for name in _DIALECT_MEMBERS if not hasattr(plugin, name)]
    return f"makes no gateway_proxy.Dialect: it has no {', '.join(missing)}" if missing else ""


def _find_sink_flaw(plugin: Any) -> str:
    if not isinstance(plugin, Sink):
        return "makes no gateway_proxy.Sink"
    return (
        "must not wait in its write: it has a thread of its own" if iscoroutinefunction(plugin.write) else ""
    )


def _without_secrets(text: str, settings: object) -> str:
    if isinstance(settings, Secret):
        return text.replace(settings.reveal(), "***")
    items = (
        settings.values() if isinstance(settings, dict) else settings if isinstance(settings, tuple) else ()
    )
    for item in items:
        text = _without_secrets(text, item)
    return text
