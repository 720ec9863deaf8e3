"""The link to a server of either era, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import drain
from gateway_proxy.mcp.eras import fit_params
from gateway_proxy.mcp.versions import MODERN
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Peer, SessionEnded
from gateway_proxy.proxy.mcp.sign_in import bearer, no_sign_in

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
NEW, OLD = Peer(MODERN), Peer("2025-11-25", "s1")


def result(value: dict[str, Any], **members: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": value.get("id"), "result": members})


def failure(code: int, status: int = 200, **data: Any) -> web.Response:
    error = {"code": code, "message": "m", "data": data}
    return web.json_response({"jsonrpc": "2.0", "id": None, "error": error}, status=status)


class Server:
    """A server of one URL; keeps what it was sent."""

    def __init__(self, handler: Handler) -> None:
        self.seen: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.deleted: list[str] = []
        self._handler = handler
        application = web.Application()
        application.router.add_post("/mcp", self._answer)
        application.router.add_delete("/mcp", self._delete)
        self._server = TestServer(application)
        self.link: HttpLink

    async def start(self, **members: Any) -> HttpLink:
        await self._server.start_server()
        members = {"sign_in": no_sign_in(), "allow_private": True, **members}
        self.link = HttpLink(str(self._server.make_url("/mcp")), members.pop("sign_in"), **members)
        return self.link

    async def close(self) -> None:
        await drain(1)
        await self.link.close()
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        value = await request.json()
        self.seen.append(({name.lower(): told for name, told in request.headers.items()}, value))
        return await self._handler(request, value)

    async def _delete(self, request: web.Request) -> web.Response:
        self.deleted.append(request.headers["Mcp-Session-Id"])
        return web.Response(status=405)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Server]]:
    servers: list[Server] = []

    def make(handler: Handler) -> Server:
        servers.append(Server(handler))
        return servers[-1]

    yield make
    for server in servers:
        await server.close()


Serve = Callable[[Handler], Server]


async def modern(_: web.Request, value: dict[str, Any]) -> web.StreamResponse:
    if value["method"] == "server/discover":
        return result(value, supportedVersions=[MODERN], capabilities={}, resultType="complete")
    return result(value, content=[])


async def legacy(request: web.Request, value: dict[str, Any]) -> web.StreamResponse:
    if value["method"] == "initialize":
        answer = result(value, protocolVersion="2025-06-18", capabilities={})
        answer.headers["Mcp-Session-Id"] = "s1"
        return answer
    if request.headers.get("Mcp-Session-Id") != "s1":
        return failure(-32000, 400)
    return web.Response(status=202) if "id" not in value else result(value, content=[])


async def ask(link: HttpLink, peer: Peer, method: str = "tools/call", **params: Any) -> dict[str, Any]:
    async with link.exchange(peer, method, params, {"mcp-param-region": "eu"}) as exchange:
        return (await exchange.final()).outcome or {}


async def test_a_modern_server_is_found_and_called(serve: Serve) -> None:
    server = serve(modern)
    link = await server.start(sign_in=bearer(Secret("t")))
    peer = await link.connect()
    assert peer == NEW
    params = fit_params({"name": "grün", "arguments": {}}, client="2025-11-25", server=peer.version)
    assert await ask(link, peer, **(params or {})) == {"result": {"content": []}}
    headers, value = server.seen[-1]
    assert headers["mcp-method"] == "tools/call" and headers["mcp-name"] == "=?base64?Z3LDvG4=?="
    assert headers["mcp-protocol-version"] == MODERN and headers["authorization"] == "Bearer t"
    assert headers["mcp-param-region"] == "eu" and "mcp-session-id" not in headers
    assert value["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == MODERN


async def test_a_legacy_server_is_found_and_gets_a_session(serve: Serve) -> None:
    server = serve(legacy)
    link = await server.start()
    peer = await link.connect()
    assert peer == Peer("2025-06-18", "s1")
    assert [value["method"] for _, value in server.seen] == [
        "server/discover",
        "initialize",
        "notifications/initialized",
    ]
    assert await ask(link, peer, name="x") == {"result": {"content": []}}
    headers, _ = server.seen[-1]
    assert headers["mcp-session-id"] == "s1" and headers["mcp-protocol-version"] == "2025-06-18"
    assert "mcp-method" not in headers
    await link.end(peer)
    assert server.deleted == ["s1"]


async def test_a_server_that_only_lists_legacy_revisions_is_legacy(serve: Serve) -> None:
    async def handler(request: web.Request, value: dict[str, Any]) -> web.StreamResponse:
        if value["method"] == "server/discover":
            return failure(-32022, 400, supported=["2025-11-25"])
        return await legacy(request, value)

    assert (await (await serve(handler).start()).connect()).version == "2025-06-18"


async def test_events_come_one_by_one_and_the_response_is_the_last(serve: Serve) -> None:
    async def handler(request: web.Request, value: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
        other = {"jsonrpc": "2.0", "id": 10**6, "result": {"no": "t mine"}}
        last = {"jsonrpc": "2.0", "id": value["id"], "result": {"content": []}}
        for message in (note, other, last, note):
            await response.write(b": keep-alive\n\ndata: " + json.dumps(message).encode() + b"\n\n")
        return response

    link = await serve(handler).start()
    async with link.exchange(NEW, "tools/call", {"name": "x"}) as exchange:
        kinds = [message.kind async for message in exchange.messages()]
    assert kinds == ["notification", "response"]


@pytest.mark.parametrize("peer", [NEW, OLD])
async def test_leaving_before_the_answer_cancels_the_call(serve: Serve, peer: Peer) -> None:
    gone, told = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request, value: dict[str, Any]) -> web.StreamResponse:
        if value["method"] == "notifications/cancelled":
            told.set()
            return web.Response(status=202)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n')
        try:
            await asyncio.Event().wait()  # the test server cancels a handler whose client has left
        finally:
            gone.set()
        return response

    server = serve(handler)
    link = await server.start()
    async with link.exchange(peer, "tools/call", {"name": "x"}) as exchange:
        async for _ in exchange.messages():
            break
    await asyncio.wait_for(gone.wait(), 2)
    if peer is OLD:
        await asyncio.wait_for(told.wait(), 2)
        assert server.seen[-1][1]["params"] == {"requestId": server.seen[0][1]["id"]}
    else:
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "peer", "code"),
    [
        (lambda: web.Response(status=401), NEW, "upstream_auth_failed"),
        (lambda: web.Response(status=403), OLD, "upstream_auth_failed"),
        (lambda: web.Response(status=503), NEW, "upstream_unavailable"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}), NEW, "upstream_broken"),
        (lambda: web.Response(status=200, text="hello"), NEW, "upstream_broken"),
        (lambda: web.json_response([]), NEW, "upstream_broken"),
        (lambda: web.json_response({"jsonrpc": "2.0", "id": 10**6, "result": {}}), NEW, "upstream_broken"),
        (lambda: web.Response(text="x" * 5000, content_type="application/json"), NEW, "upstream_broken"),
        (lambda: web.Response(text="data: " + "x" * 5000, content_type="text/event-stream"), NEW, "upstream_broken"),
    ],
)  # fmt: skip
async def test_what_a_server_does_wrong(
    serve: Serve, answer: Callable[[], web.Response], peer: Peer, code: str
) -> None:
    async def handler(_: web.Request, value: dict[str, Any]) -> web.StreamResponse:
        return answer()

    link = await serve(handler).start(max_bytes=4096)
    with pytest.raises(UpstreamFailed) as caught:
        await ask(link, peer, name="x")
    assert caught.value.code == code


async def test_a_session_that_has_ended_and_one_that_breaks_off(serve: Serve) -> None:
    async def handler(request: web.Request, value: dict[str, Any]) -> web.StreamResponse:
        if "Mcp-Session-Id" in request.headers:
            return web.Response(status=404)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    link = await serve(handler).start()
    with pytest.raises(SessionEnded):
        await ask(link, OLD, name="x")
    with pytest.raises(UpstreamFailed) as caught:
        await ask(link, NEW, name="x")
    assert caught.value.code == "upstream_broken"


async def test_a_server_that_is_silent_or_not_there(serve: Serve) -> None:
    async def handler(_: web.Request, value: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(1)
        return web.Response()

    link = await serve(handler).start(silence_seconds=0.05)
    with pytest.raises(UpstreamFailed) as caught:
        await link.connect()
    assert caught.value.code == "upstream_timeout"
    nobody = HttpLink(f"http://127.0.0.1:{unused_port()}/mcp", no_sign_in(), allow_private=True)
    with pytest.raises(UpstreamFailed) as caught:
        await nobody.connect()
    await nobody.close()
    assert caught.value.code == "upstream_unavailable"


async def test_a_private_address_is_refused_unless_it_is_allowed(serve: Serve) -> None:
    server = serve(modern)
    link = await server.start(allow_private=False)
    with pytest.raises(UpstreamFailed) as caught:
        await link.connect()
    assert caught.value.code == "upstream_unavailable" and "allow_private" in caught.value.detail
    assert not server.seen


async def test_a_link_that_was_closed_meanwhile_asks_nobody() -> None:
    link = HttpLink("http://127.0.0.1:9/mcp", no_sign_in(), allow_private=True)
    await link.close()
    with pytest.raises(UpstreamFailed, match="broke off"):
        await link.connect()
