"""Streams on which clients hear what changed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway_proxy.proxy.mcp import streams as module
from gateway_proxy.proxy.mcp.changes import SUBSCRIPTION_KEY
from tests.support.mcp_client import McpClient
from tests.support.mcp_server import tool
from tests.support.mcp_world import World
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.02)


class Events:
    """The messages of a stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, Any] | None:
        """None at the end of the stream."""
        async with asyncio.timeout(3):
            async for line in self.response.content:
                if line.startswith(b"data: "):
                    found: dict[str, Any] = json.loads(line[6:])
                    return found
        return None


@asynccontextmanager
async def listen(client: McpClient, **wanted: Any) -> AsyncIterator[Events]:
    body, headers = client.modern("subscriptions/listen", notifications=wanted)
    async with client.open("POST", json.dumps(body).encode(), headers) as response:
        assert response.status == 200
        yield Events(response)


async def refresh(world: World) -> None:
    await world.served.gateway.mcp.servers.discovery.refresh()


async def test_a_modern_client_hears_of_what_it_asked_for(world: World) -> None:
    key_id, secret = await world.key()
    async with listen(world.client("/mcp", secret), toolsListChanged=True) as events:
        acknowledged = await events.next()
        assert (
            acknowledged is not None and acknowledged["method"] == "notifications/subscriptions/acknowledged"
        )
        assert acknowledged["params"] == {
            "notifications": {"toolsListChanged": True},
            "_meta": {SUBSCRIPTION_KEY: 1},
        }
        world.old.prompts.append({"name": "unasked"})
        world.old.tools.append(tool("fresh"))
        await refresh(world)
        told = await events.next()
        assert told is not None and told["method"] == "notifications/tools/list_changed"
        await world.edit(key_id, mcp={"enabled": True, "access_mode": "deny_list", "servers": ["old"]})
        again = await events.next()
        assert again is not None and again["method"] == "notifications/tools/list_changed"
        await world.edit(key_id, mcp={"enabled": False})
        assert await events.next() is None, "a key without MCP hears nothing more"


async def test_updates_of_resources_come_from_the_server_under_the_clients_name(world: World) -> None:
    _, secret = await world.key()
    wanted = ["mcp+new+test://a", "mcp+old+test://a"]
    async with listen(world.client("/mcp", secret), resourceSubscriptions=wanted) as events:
        acknowledged = await events.next()
        assert acknowledged is not None
        assert acknowledged["params"]["notifications"] == {"resourceSubscriptions": ["mcp+new+test://a"]}
        await until(lambda: world.new.listeners)
        world.new.updates.put_nowait("test://elsewhere")
        world.new.updates.put_nowait("test://a")
        told = await events.next()
        assert told is not None and told["method"] == "notifications/resources/updated"
        assert told["params"] == {"uri": "mcp+new+test://a", "_meta": {SUBSCRIPTION_KEY: 1}}
    await until(lambda: not world.served.gateway.plane.sweeper.runs)
    assert world.served.gateway.mcp.calls.in_use.total() == 0


async def test_another_keys_server_cannot_be_listened_to(world: World) -> None:
    _, secret = await world.key(mcp={"enabled": True, "access_mode": "allow_list", "servers": ["old"]})
    told = await world.client("/mcp", secret).ask(
        "subscriptions/listen", notifications={"resourceSubscriptions": ["mcp+new+test://a"]}
    )
    assert told.error == (200, -32602) and not world.new.listeners


async def test_a_legacy_client_hears_on_its_get(world: World) -> None:
    key_id, secret = await world.key()
    client = await world.legacy("/mcp/old", secret)
    assert (await client.send(None, {}, "GET")).error == (400, -32600)
    async with client.open("GET", None, client.session) as response:
        assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream"
        events = Events(response)
        world.old.tools.append(tool("fresh"))
        await refresh(world)
        assert await events.next() == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        await world.revoke(key_id)
        assert await events.next() is None
    modern = {"MCP-Protocol-Version": "2026-07-28"}
    assert (await world.client().send(None, modern, "GET")).status == 405


async def test_a_shutdown_ends_streams_first_and_says_so(world: World) -> None:
    async with listen(world.client(), toolsListChanged=True) as events:
        await events.next()
        world.served.gateway.mcp.end_streams()
        ended = await events.next()
        assert ended is not None and ended["result"] == {
            "resultType": "complete",
            "_meta": {SUBSCRIPTION_KEY: 1},
        }
        assert await events.next() is None
    told = await world.client().ask("subscriptions/listen", notifications={"toolsListChanged": True})
    assert told.error == (503, 503)


async def test_a_key_has_so_many_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAMS", 1)
    async with listen(world.client(), toolsListChanged=True) as events:
        await events.next()
        told = await world.client().ask("subscriptions/listen", notifications={"toolsListChanged": True})
        assert told.error == (429, 429)
