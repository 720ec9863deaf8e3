"""MCP in a running gateway: settings that change under load."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_proxy.app.server import reload
from tests.support.mcp_server import McpServer, server_toml
from tests.support.mcp_world import World, open_world
from tests.support.waiting import until


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("gateway_proxy.app.winding_down.SETTLE_SECONDS", 0)
    async with open_world(tmp_path) as world:
        yield world


async def put_in_force(world: World, tables: str) -> None:
    source = world.served.gateway.config.source
    assert source is not None
    head = source.read_text().partition("[[mcp.servers]]")[0]
    source.write_text(head + tables)
    await reload(world.served.gateway, source)
    assert not world.served.gateway.reload_error


async def test_a_reload_keeps_what_did_not_change_and_lets_calls_finish(world: World) -> None:
    assert (await world.client("/mcp/old").call("echo")).status == 200
    running = asyncio.ensure_future(world.client().call("wait"))
    await until(lambda: world.new.running)
    async with McpServer(tools=("extra",)) as third:
        await put_in_force(world, server_toml("old", world.old.url) + server_toml("third", third.url))
        assert await world.client("/mcp").names() == [
            *(f"old__{name}" for name in ("ask", "echo", "fail", "tell", "wait")),
            "third__extra",
        ]
        assert world.old.sessions == 1, "its link and session were kept"
        assert (await world.client("/mcp/new").ask("tools/list")).error == (404, -32602)
        assert (await world.client("/mcp/third").call("extra")).status == 200
        world.new.gate.set()
        assert (await running).status == 200
    assert "wait" in [call["name"] for call in world.new.calls]


async def test_a_server_that_cannot_be_set_up_leaves_the_others_alone(world: World) -> None:
    broken = '[[mcp.servers]]\nname = "gone"\nurl = "http://127.0.0.1:9/mcp"\nallow_private = true\n'
    await put_in_force(world, server_toml("new", world.new.url) + broken)
    listed = (await world.client("/mcp").ask("tools/list")).result
    assert listed["tools"][0]["name"] == "new__ask"
    assert listed["_meta"] == {"gateway-proxy/unavailable": ["gone"]}
    assert (await world.client("/mcp/gone").call("echo")).error == (200, -32602)
