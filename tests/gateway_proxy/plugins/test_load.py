"""What the settings name is imported and made; whatever goes wrong there is a mistake with its line."""

from pathlib import Path

import pytest

from gateway_proxy.config import Config, ConfigError, config_from_dict, load_config
from gateway_proxy.plugins.guard import AsyncGuard
from gateway_proxy.plugins.load import NO_PLUGINS, Plugins, load_plugins
from tests.support.plugins import InstallPlugin

SOURCE = """
from gateway_proxy import AsyncStage, OpenAIDialect, Sink, Stage

class Words(Stage):
    def __init__(self, words=(), token=""):
        if not isinstance(words, list | tuple):
            raise ValueError(f"words must be a list; the token is {token}")
        self.words, self.token = words, token
    def check(self, exchange):
        pass

class Waits(AsyncStage):
    async def check(self, exchange):
        pass

class Late(Stage):
    async def check(self, exchange):
        pass

class Slow(Waits):
    timeout_seconds = 3600

class Lake(Sink):
    def write(self, rows):
        pass

class Vendor(OpenAIDialect):
    name = "vendor"

def exits():
    raise SystemExit(3)
"""
NAMES = {name: name for name in ("Words", "Waits", "Late", "Slow", "Lake", "Vendor", "exits")}


@pytest.fixture(autouse=True)
def installed(install_plugin: InstallPlugin) -> None:
    install_plugin(SOURCE, stages={**NAMES, "gone": "NoSuchName"}, dialects=NAMES, sinks=NAMES)


def settings(use: str, before: str = "rate", **options: object) -> Config:
    data = {"pipeline": {"stages": [{"use": use, "before": before}]}}
    return config_from_dict(
        {**data, **({"plugins": {use: options}} if options else {})}, None, {"T": "canary"}
    )


def mistakes(config: Config) -> str:
    with pytest.raises(ConfigError) as refused:
        load_plugins(config)
    return str(refused.value)


def test_nothing_named_is_nothing_loaded() -> None:
    assert load_plugins(config_from_dict({})) is NO_PLUGINS
    assert load_plugins(config_from_dict({"providers": [{"name": "openai"}]})) is NO_PLUGINS


def test_everything_at_once() -> None:
    stages = [{"use": "Words", "before": "route"}, {"use": "Waits", "before": "allow"}]
    providers = [{"name": "a", "base_url": "http://a", "dialect": "Vendor"}]
    data = {"pipeline": {"stages": stages}, "providers": providers, "logs": {"sinks": [{"use": "Lake"}]}}
    plugins = load_plugins(config_from_dict({**data, "plugins": {"Words": {"words": ["a"], "token": "b"}}}))
    (first, words), (second, waits) = plugins.guards
    assert (first, words.needs_body, second, waits.needs_body) == ("route", False, "allow", True)
    assert isinstance(waits, AsyncGuard) and words.stage.words == ["a"]  # type: ignore[union-attr]
    assert plugins.dialects["Vendor"].name == "vendor" and list(plugins.sinks) == ["Lake"]


def test_what_has_not_changed_is_kept() -> None:
    def stage(plugins: Plugins) -> object:
        return plugins.guards[0][1].stage

    one = load_plugins(settings("Words", words=["a"], token="env:T"))
    same = load_plugins(settings("Words", "budget", words=["a"], token="env:T"), one)
    other = load_plugins(settings("Words", words=["b"]), same)
    assert stage(one) is stage(same) is not stage(other)


@pytest.mark.parametrize(
    ("use", "before", "told"),
    [
        ("gone", "rate", 'pipeline.stages[0].use: the plugin "gone" cannot be imported: AttributeError'),
        ("exits", "rate", "refuses its settings: 3"),
        ("Lake", "rate", "no gateway_proxy.Stage"),
        ("Late", "rate", "make it an AsyncStage"),
        ("Slow", "rate", "timeout_seconds"),
        ("Waits", "admission", "pipeline.stages[0].before: is an AsyncStage"),
    ],
)
def test_what_cannot_be_a_stage(use: str, before: str, told: str) -> None:
    assert told in mistakes(settings(use, before))


def test_settings_that_a_plugin_does_not_take() -> None:
    assert "plugins.Words: the plugin refuses its settings: " in mistakes(settings("Words", wrods=[]))
    told = mistakes(settings("Words", words="a", token="env:T"))
    assert "words must be a list" in told and "canary" not in told and "***" in told


def test_what_can_be_neither_dialect_nor_sink() -> None:
    providers = [{"name": "a", "base_url": "http://a", "dialect": "Lake"}]
    told = mistakes(config_from_dict({"providers": providers, "logs": {"sinks": [{"use": "Words"}]}}))
    assert "providers[0].dialect" in told and "it has no name" in told
    assert "logs.sinks[0].use" in told and "no gateway_proxy.Sink" in told


def test_mistakes_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[pipeline]\nstages = [\n  { use = "Late", before = "rate" },\n]\n[plugins.Late]\nx = 1\n'
    )
    told = mistakes(load_config(path))
    assert told.startswith(f"{path}:5: plugins.Late: the plugin refuses")
    config = load_config(path)
    path.write_text("broken")
    assert mistakes(config).startswith(f"{path}: plugins.Late")
