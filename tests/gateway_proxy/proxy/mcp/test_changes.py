"""News of changed lists, in both eras over HTTP and over a channel."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import drain
from gateway_proxy.proxy.mcp.changes import told_changes
from gateway_proxy.proxy.mcp.child import Command
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Peer
from gateway_proxy.proxy.mcp.sign_in import no_sign_in
from gateway_proxy.proxy.mcp.stdio_link import StdioLink

TELLS = {"tools": {"listChanged": True}, "prompts": {"listChanged": False}, "resources": {}}
NEW, OLD = Peer("2026-07-28", None, TELLS), Peer("2025-11-25", "s", TELLS)
SCRIPT = Path(__file__).parents[3] / "support" / "mcp_stdio.py"
CHANGE = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


class Teller:
    """Sends a change and a ping on whatever stream it is asked for; keeps what it was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.status = 200
        application = web.Application()
        application.router.add_route("*", "/mcp", self._serve)
        self.server = TestServer(application)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        value = json.loads(await request.read() or b"null")
        self.seen.append((request.method, value))
        if self.status != 200 or (value is not None and "method" not in value):
            return web.Response(status=self.status if self.status != 200 else 202)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for message in (CHANGE, {"jsonrpc": "2.0", "id": 7, "method": "ping"}, CHANGE):
            await response.write(b"data: " + json.dumps(message).encode() + b"\n\n")
        return response


@pytest.fixture
async def teller() -> AsyncIterator[Teller]:
    teller = Teller()
    await teller.server.start_server()
    yield teller
    await teller.server.close()


@pytest.fixture
async def link(teller: Teller) -> AsyncIterator[HttpLink]:
    link = HttpLink(str(teller.server.make_url("/mcp")), no_sign_in(), allow_private=True)
    yield link
    await link.close()


async def test_a_subscription_of_the_modern_era(teller: Teller, link: HttpLink) -> None:
    changes = link.changes(NEW)
    await anext(changes)
    await anext(changes)
    with pytest.raises(UpstreamFailed):
        await anext(changes)
    method, value = teller.seen[0]
    assert (method, value["method"]) == ("POST", "subscriptions/listen")
    assert value["params"]["notifications"] == {"toolsListChanged": True}


async def test_the_stream_of_a_legacy_session_and_its_ping(teller: Teller, link: HttpLink) -> None:
    changes = link.changes(OLD)
    assert len([change async for change in changes]) == 2
    await drain(2)
    assert [method for method, _ in teller.seen] == ["GET", "POST"]
    assert teller.seen[1][1] == {"jsonrpc": "2.0", "id": 7, "result": {}}


async def test_servers_that_tell_of_nothing(teller: Teller, link: HttpLink) -> None:
    silent = Peer("2025-11-25", "s", {"tools": {}})
    assert told_changes(silent) == {} and [change async for change in link.changes(silent)] == []
    assert not teller.seen
    teller.status = 405
    assert [change async for change in link.changes(OLD)] == []


async def test_a_process_that_tells_of_a_change() -> None:
    link = StdioLink(Command("s", (sys.executable, "-S", str(SCRIPT), "legacy")))
    peer = await link.connect()
    changes = link.changes(peer)
    await link.ask(peer, "tools/call", {"name": "change"})
    await asyncio.wait_for(anext(changes), 2)
    await changes.aclose()
    await link.close()
