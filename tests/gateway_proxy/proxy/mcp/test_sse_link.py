"""The link to a server of the older HTTP+SSE, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp.link import SessionEnded
from gateway_proxy.proxy.mcp.sign_in import bearer, no_sign_in
from gateway_proxy.proxy.mcp.sse_link import SseLink


class OldServer:
    """GET /sse is the stream; what is posted to /messages is answered on it."""

    def __init__(self) -> None:
        self.endpoint = "/messages?session_id=1"
        self.streams: list[web.StreamResponse] = []
        self.posted: list[dict[str, Any]] = []
        self.credentials: set[str | None] = set()
        application = web.Application()
        application.router.add_get("/sse", self._stream)
        application.router.add_post("/messages", self._post)
        self.server = TestServer(application)
        self.ended = asyncio.Event()

    def url(self) -> str:
        return str(self.server.make_url("/sse"))

    async def say(self, **members: Any) -> None:
        data = json.dumps({"jsonrpc": "2.0", **members}).encode()
        await self.streams[-1].write(b"event: message\r\ndata: " + data + b"\r\n\r\n")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.credentials.add(request.headers.get("Authorization"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(
            b": hello\r\n\r\nevent: endpoint\r\ndata: " + self.endpoint.encode() + b"\r\n\r\n"
        )
        self.streams.append(response)
        await self.ended.wait()
        return response

    async def _post(self, request: web.Request) -> web.Response:
        self.credentials.add(request.headers.get("Authorization"))
        value = await request.json()
        self.posted.append(value)
        match value.get("method"):
            case "initialize":
                told = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}
                await self.say(id=value["id"], result=told)
            case "tools/call" if value["params"]["name"] == "long":
                await self.say(id=value["id"], result={"content": "x" * 5_000})
            case "tools/call" if value["params"]["name"] == "end":
                self.ended.set()
            case "tools/call":
                await self.say(id=value["id"], result={"content": []})
            case "refused":
                return web.Response(status=404)
        return web.Response(status=202, text="Accepted")


@pytest.fixture
async def old() -> AsyncIterator[OldServer]:
    server = OldServer()
    await server.server.start_server()
    yield server
    server.ended.set()
    await server.server.close()


@pytest.fixture
async def link(old: OldServer) -> AsyncIterator[SseLink]:
    link = SseLink(old.url(), bearer(Secret("t")), max_bytes=4096, allow_private=True, connect_seconds=1)
    yield link
    await link.close()


async def test_a_call_goes_up_and_its_answer_comes_down(old: OldServer, link: SseLink) -> None:
    peer = await link.connect()
    assert peer.version == "2025-03-26" and "tools" in peer.capabilities
    answers = await asyncio.gather(*(link.ask(peer, "tools/call", {"name": "x"}) for _ in range(3)))
    assert [answer.outcome for answer in answers] == [{"result": {"content": []}}] * 3
    assert len(old.streams) == 1 and old.credentials == {"Bearer t"}
    assert [value["method"] for value in old.posted[:2]] == ["initialize", "notifications/initialized"]


async def test_the_server_may_ask_and_tell_of_changes(old: OldServer, link: SseLink) -> None:
    changes = link.changes(await link.connect())
    await old.say(id="p", method="ping")
    await old.say(method="notifications/tools/list_changed")
    await asyncio.wait_for(anext(changes), 2)
    await changes.aclose()
    async with asyncio.timeout(2):
        while {"jsonrpc": "2.0", "id": "p", "result": {}} not in old.posted:
            await asyncio.sleep(0.005)


async def test_what_is_too_long_ends_only_its_own_call(old: OldServer, link: SseLink) -> None:
    peer = await link.connect()
    long, short = await asyncio.gather(
        link.ask(peer, "tools/call", {"name": "long"}),
        link.ask(peer, "tools/call", {"name": "short"}),
        return_exceptions=True,
    )
    assert isinstance(long, UpstreamFailed) and not isinstance(short, BaseException)


async def test_a_stream_that_ends_is_opened_again(old: OldServer, link: SseLink) -> None:
    peer = await link.connect()
    with pytest.raises(UpstreamFailed):
        await link.ask(peer, "tools/call", {"name": "end"})
    with pytest.raises(SessionEnded):
        await link.ask(peer, "tools/call", {"name": "x"})
    old.ended.clear()
    assert (await link.ask(await link.connect(), "tools/call", {"name": "x"})).outcome


async def test_what_is_refused_is_told_to_who_asked(link: SseLink) -> None:
    peer = await link.connect()
    with pytest.raises(UpstreamFailed) as caught:
        await link.ask(peer, "refused")
    assert "404" in caught.value.detail
    assert (await link.ask(peer, "tools/call", {"name": "x"})).outcome


async def test_an_address_elsewhere_is_not_posted_to(old: OldServer, link: SseLink) -> None:
    old.endpoint = "http://other.example.com/messages"
    with pytest.raises(UpstreamFailed) as caught:
        await link.connect()
    assert "another origin" in caught.value.detail and not old.posted


async def test_a_private_address_is_refused(old: OldServer) -> None:
    link = SseLink(old.url(), no_sign_in())
    with pytest.raises(UpstreamFailed) as caught:
        await link.connect()
    assert "allow_private" in caught.value.detail
    await link.close()
