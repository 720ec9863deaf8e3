"""Links are made of the settings."""

import pytest

from gateway_proxy.config import config_from_dict
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.links import make_link


async def test_a_server_with_a_url_is_reached_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLS_TOKEN", "t0ken")
    tables = {"name": "tools", "url": "https://tools.test/mcp", "auth": {"bearer": "env:TOOLS_TOKEN"}}
    server = config_from_dict({"mcp": {"servers": [tables]}}).mcp.servers[0]
    link = make_link(server)
    assert isinstance(link, HttpLink) and "t0ken" not in repr(vars(link))
    await link.close()


async def test_a_server_without_a_url_is_refused() -> None:
    server = config_from_dict({"mcp": {"servers": [{"name": "tools", "command": ["x"]}]}}).mcp.servers[0]
    with pytest.raises(ValueError, match="'tools' has no url"):
        make_link(server)
