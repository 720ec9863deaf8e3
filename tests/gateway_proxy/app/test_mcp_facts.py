"""What the admin side is told of a server: bounded, and without secrets."""

from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.app import mcp_facts
from gateway_proxy.app.mcp_facts import describe_server
from gateway_proxy.config import config_from_dict
from gateway_proxy.config.mcp import McpServer
from gateway_proxy.core.clock import Clock
from gateway_proxy.mcp.catalogue import Offer, read_list
from gateway_proxy.mcp.definitions import Definitions
from gateway_proxy.proxy.mcp.health import ServerHealth
from gateway_proxy.proxy.mcp.link import Peer
from gateway_proxy.routing.breaker import Breakers

TOOLS = ({"name": "x", "description": "d", "annotations": {"title": "X"}}, {"name": "y", "description": 5})


def make_server(tmp_path: Path, **members: Any) -> McpServer:
    data = {"mcp": {"servers": [{"name": "s", "command": ["c"], "env": {"T": "env:T"}, **members}]}}
    return config_from_dict(data, tmp_path, {"T": "s3cret"}).mcp.servers[0]


def describe(server: McpServer, offer: Offer, definitions: Definitions) -> dict[str, Any]:
    clock = Clock()
    return describe_server(
        server, offer, Peer("2026-07-28"), ServerHealth("s", Breakers(clock), clock), definitions
    )


def test_a_server_and_its_tools(tmp_path: Path) -> None:
    offer = Offer("s", {"tools": read_list("tools", TOOLS), "prompts": {"p": {}}})
    server = make_server(tmp_path, price_per_call="0.01", tool_prices={"y": "0.5"})
    told = describe(server, offer, Definitions())
    assert (told["transport"], told["protocol_version"], told["state"], told["prompts"]) == (
        "stdio",
        "2026-07-28",
        "up",
        1,
    )
    assert [
        (tool["name"], tool["title"], tool["description"], tool["price_usd"]) for tool in told["tools"]
    ] == [
        ("x", "X", "d", "0.01"),
        ("y", None, None, "0.50"),
    ]
    assert "s3cret" not in str(told)


def test_a_changed_tool_is_told_with_what_it_was(tmp_path: Path) -> None:
    definitions = Definitions()
    definitions.meet(Offer("s", {"tools": read_list("tools", TOOLS)}))
    now = Offer("s", {"tools": read_list("tools", ({**TOOLS[0], "description": "other"}, TOOLS[1]))})
    server = make_server(tmp_path, on_changed_tool="block")
    told = describe(server, definitions.judge(now, blocks=True), definitions)
    assert [tool["status"] for tool in told["tools"]] == ["blocked", "ok"]
    assert '"other"' in told["tools"][0]["definition"] and '"d"' in told["tools"][0]["approved_definition"]


def test_what_a_server_says_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_facts, "MAX_TOOLS", 1)
    offer = Offer("s", {"tools": read_list("tools", ({"name": "x", "description": "d" * 9_999}, TOOLS[1]))})
    told = describe(make_server(tmp_path), offer, Definitions())
    assert len(told["tools"]) == 1 and told["tools_left_out"] == 1
    assert len(told["tools"][0]["description"]) == mcp_facts.MAX_TEXT
