"""The defaults, the example file that shows them, and what the whole configuration can tell."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.config import Config, Secret, config_from_dict, load_config
from gateway_proxy.config.load import models_in
from tests.support.plugins import InstallPlugin

ENVIRONMENT = {
    "OPENAI_API_KEY": "canary-openai",
    "ANTHROPIC_API_KEY": "canary-anthropic",
    "GITHUB_MCP_TOKEN": "canary-mcp",
    "FILES_MCP_TOKEN": "canary-files",
    "INTERN_MCP_SECRET": "canary-intern",
    "SEARCH_MCP_KEY": "canary-search",
    "OLD_MCP_PASSWORD": "canary-old",
    "OTLP_AUTHORIZATION": "Bearer canary-otlp",
    "HOOK_SECRET": "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5",
}


def keys_of(model: type[Any], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for nested in models_in(field.annotation):
            yield from keys_of(nested, f"{prefix}{name}.")


def written_keys(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from written_keys(item, prefix)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield prefix + key
            yield from written_keys(item, f"{prefix}{key}.")


@pytest.fixture
def full(tmp_path: Path, example: dict[bool, str], install_plugin: InstallPlugin) -> Config:
    install_plugin("", stages={"plugin_name": "Stage"}, sinks={"plugin_sink": "Sink"})
    path = tmp_path / "config.toml"
    path.write_text(example[True], encoding="utf-8")
    return load_config(path, ENVIRONMENT)


def test_the_example_shows_every_setting(example: dict[bool, str]) -> None:
    assert set(keys_of(Config)) <= set(written_keys(tomllib.loads(example[True])))


def test_the_example_loads_as_it_is_and_shows_the_defaults(tmp_path: Path, example: dict[bool, str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(example[False], encoding="utf-8")
    shown = load_config(path, {"OPENAI_API_KEY": "canary"})
    defaults = config_from_dict(
        {"providers": [{"name": "openai", "api_key": "env:K"}]}, tmp_path, {"K": "canary"}
    )
    assert shown.without_secrets() == defaults.without_secrets()
    assert shown.digest == defaults.digest


def test_the_example_loads_with_everything_used(full: Config) -> None:
    assert [provider.name for provider in full.providers] == ["openai", "anthropic"]
    assert full.providers[0].api_key == Secret("canary-openai")
    assert full.models[0].price is not None
    assert [server.name for server in full.mcp.servers] == ["github", "files", "intern", "search", "old"]
    assert full.mcp.servers[1].env == {"TOKEN": Secret("canary-files")}
    assert full.pipeline.stages[0].before == "admission"
    assert full.logs.sinks[0].use == "plugin_sink"
    assert full.plugins["plugin_name"] == {"words": ("secret project",)}


def test_no_view_of_the_settings_shows_a_secret(full: Config) -> None:
    for view in (
        repr(full),
        str(full.without_secrets()),
        full.model_dump_json(),
        str(full.model_dump(mode="json")),
    ):
        assert "canary" not in view
        assert "Y2FuYXJ5" not in view
        assert "***" in view


def test_defaults_resolve_in_the_folder(tmp_path: Path) -> None:
    config = config_from_dict({}, tmp_path)
    assert config.storage.sqlite_path == tmp_path / "gateway.db"
    assert config.storage.data_dir == tmp_path / "gateway-data"
    assert config.security.pepper.path == tmp_path / "gateway-data" / "pepper"
    assert (config.folder, config.source) == (tmp_path, None)
    assert (config.server.listen.host, config.server.listen.port) == ("127.0.0.1", 8080)
    assert config.server.admin_listen is None


def test_providers_and_models_are_found_by_name(full: Config) -> None:
    assert full.provider("anthropic") is full.providers[1]
    assert full.provider("nobody") is None
    assert full.model("chat") is full.models[0]
    assert full.model("Chat") is None


def test_settings_are_immutable(full: Config) -> None:
    with pytest.raises(ValueError, match="frozen"):
        full.server.workers = 2
