"""MCP servers in the settings: what is read, and what is refused where."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.config import ConfigError, config_from_dict
from gateway_proxy.config.mcp import McpServer

ENVIRONMENT = {"TOKEN": "s3cret", "PAIR": "two words"}


def read(tmp_path: Path, **server: Any) -> McpServer:
    data = {"mcp": {"servers": [{"name": "s", **server}]}}
    return config_from_dict(data, tmp_path, ENVIRONMENT).mcp.servers[0]


def refuse(tmp_path: Path, **server: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, **server)
    assert "s3cret" not in str(caught.value)
    return {".".join(map(str, mistake.path[3:])): mistake.message for mistake in caught.value.mistakes}


def test_every_sign_in_is_read_and_none_is_shown(tmp_path: Path) -> None:
    url = "https://mcp.example.com/mcp"
    oauth2 = {"token_url": "https://a.example.com/token", "client_id": "c", "client_secret": "env:TOKEN"}
    for auth in (
        {"bearer": "env:TOKEN"},
        {"header": {"name": "X-Api-Key", "value": "env:TOKEN"}},
        {"basic": {"username": "u", "password": "env:TOKEN"}},
        {"oauth2": {**oauth2, "scopes": ["tools.read"]}},
    ):
        server = read(tmp_path, url=url, auth=auth)
        assert getattr(server.auth, next(iter(auth))) is not None
        assert "s3cret" not in repr(server) + str(server.model_dump(mode="json"))


def test_a_command_with_all_that_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    server = read(
        tmp_path,
        command=["serve", "--fast"],
        env={"TOKEN": "env:TOKEN"},
        cwd="work",
        limits={"memory_bytes": 2**30, "open_files": 64},
        timeouts={"start": 2},
        tool_prices={"search.web": "0.002", "free": 0},
        on_changed_tool="block",
    )
    assert server.env["TOKEN"].reveal() == "s3cret" and server.cwd == tmp_path / "work"
    assert server.limits.open_files == 64 and server.limits.cpu_seconds is None
    assert server.tool_prices == {"search.web": Decimal("0.002"), "free": Decimal(0)}
    assert read(tmp_path, command=["serve"]).cwd == tmp_path


@pytest.mark.parametrize(
    ("server", "place", "words"),
    [
        ({"auth": {"header": {"name": "Host", "value": "env:TOKEN"}}}, "auth.header.name", "itself"),
        ({"auth": {"header": {"name": "Mcp-Method", "value": "env:TOKEN"}}}, "auth.header.name", "itself"),
        ({"auth": {"basic": {"username": "a:b", "password": "env:TOKEN"}}}, "auth.basic.username", "colon"),
        ({"auth": {"bearer": "env:PAIR"}}, "auth.bearer", "blanks"),
        ({"auth": {"bearer": "s3cret"}}, "auth.bearer", "env:NAME"),
        ({"auth": {"oauth2": {"token_url": "https://a.b"}}}, "auth.oauth2.client_id", "missing"),
        ({"transport": "websocket"}, "transport", "one of"),
        ({"max_output_bytes": 1}, "max_output_bytes", "at least"),
        ({"tool_prices": {"x": -1}}, "tool_prices.x", "not negative"),
        ({"timeout": {}}, "timeout", "timeouts"),
    ],
)
def test_mistakes_are_told_where_they_are(
    tmp_path: Path, server: dict[str, Any], place: str, words: str
) -> None:
    assert words in refuse(tmp_path, url="https://mcp.example.com/mcp", **server)[place]


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    assert "does not exist" in refuse(tmp_path, command=["serve"], cwd="nowhere")["cwd"]
