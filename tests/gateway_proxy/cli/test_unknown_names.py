"""Names that the settings do not have: a warning, and the key all the same."""

from pathlib import Path

import pytest

CONFIG = """\
[storage]
url = "sqlite:gateway.db"
[[providers]]
name = "openai"
base_url = "https://api.openai.com/v1"
[[mcp.servers]]
name = "github"
url = "https://mcp.example.com/mcp"
"""
PROVIDER = "warning: no provider 'opnai' is configured here; did you mean 'openai'?\n"
SERVER = "warning: no MCP server 'gihub' is configured here; did you mean 'github'?\n"
FAR = "warning: no provider 'xyz' is configured here\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return str(path)


def test_create_warns_and_makes_the_key(cli, config) -> None:
    asked = ("keys", "create", "-c", config, "--name", "a", "--providers", "openai,opnai,xyz", "--json")
    outcome = cli(*asked, "--mcp", "--mcp-servers", "gihub", "--mcp-tools", "gihub/search")
    assert (outcome.code, outcome.err) == (0, PROVIDER + FAR + SERVER)
    assert outcome.json["key"]["allowed_providers"] == ["openai", "opnai", "xyz"]


def test_update_warns_too(cli, config) -> None:
    assert cli("keys", "create", "-c", config, "--name", "a", "--providers", "openai").err == ""
    outcome = cli("keys", "update", "-c", config, "a", "--providers", "opnai")
    assert (outcome.code, outcome.err) == (0, PROVIDER)
    assert cli("keys", "update", "-c", config, "a", "--no-providers", "--no-mcp-servers").err == ""


def test_without_a_settings_file_there_is_nothing_to_compare_with(cli) -> None:
    outcome = cli("keys", "create", "--name", "a", "--providers", "opnai")
    assert (outcome.code, outcome.err) == (0, "")
