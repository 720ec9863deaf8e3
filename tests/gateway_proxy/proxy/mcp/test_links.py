"""Links are made of the settings."""

from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.config import config_from_dict
from gateway_proxy.config.mcp import McpServer
from gateway_proxy.proxy.mcp.auto_link import AutoLink
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.links import make_link
from gateway_proxy.proxy.mcp.sse_link import SseLink
from gateway_proxy.proxy.mcp.stdio_link import StdioLink

URL = "https://tools.test/mcp"


def server(tmp_path: Path, **tables: Any) -> McpServer:
    data = {"mcp": {"servers": [{"name": "tools", **tables}]}}
    return config_from_dict(data, tmp_path, {"TOKEN": "t0ken"}).mcp.servers[0]


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        ({}, {}),
        ({"bearer": "env:TOKEN"}, {"Authorization": "Bearer t0ken"}),
        ({"header": {"name": "X-Key", "value": "env:TOKEN"}}, {"X-Key": "t0ken"}),
        ({"basic": {"username": "u", "password": "env:TOKEN"}}, {"Authorization": "Basic dTp0MGtlbg=="}),
    ],
)
async def test_a_server_with_a_url_is_reached_over_http(
    tmp_path: Path, auth: dict[str, Any], sent: dict[str, str]
) -> None:
    link = make_link(server(tmp_path, url=URL, auth=auth, transport="http"))
    assert isinstance(link, HttpLink) and "t0ken" not in repr(vars(link))
    assert await link._sign_in.headers() == sent
    await link.close()


async def test_what_the_url_speaks_is_said_or_found_out(tmp_path: Path) -> None:
    for transport, kind in (("sse", SseLink), ("auto", AutoLink)):
        link = make_link(server(tmp_path, url=URL, transport=transport))
        assert type(link) is kind
        await link.close()


async def test_tokens_that_are_fetched(tmp_path: Path) -> None:
    oauth2 = {"token_url": "https://login.test/token", "client_id": "c", "client_secret": "env:TOKEN"}
    link = make_link(server(tmp_path, url=URL, auth={"oauth2": oauth2}, transport="http"))
    assert isinstance(link, HttpLink) and "t0ken" not in repr(vars(link))
    await link.close()


async def test_a_server_with_a_command_is_a_process(tmp_path: Path) -> None:
    link = make_link(server(tmp_path, command=["serve"], env={"A": "env:TOKEN"}, limits={"open_files": 64}))
    assert isinstance(link, StdioLink) and "t0ken" not in repr(vars(link))
    assert link._command.limits == {"open_files": 64} and link._command.folder == tmp_path
    await link.close()
