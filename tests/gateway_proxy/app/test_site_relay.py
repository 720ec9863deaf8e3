"""Requests reach the admin side as they were sent, with facts that no client can forge; answers come back as they come."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gateway_proxy.app import site_relay
from gateway_proxy.app.site_process import SiteDown
from gateway_proxy.app.site_relay import Relay
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.answers import Answer, BaseAnswer
from gateway_proxy.proxy.client_ip import ClientIp
from gateway_proxy.proxy.edge import EdgeRunner
from gateway_proxy.proxy.request import ClientRequest

MEBIBYTE = 1024 * 1024
Handler = Callable[[web.Request], Any]


@pytest.fixture(params=["front", "aiohttp"], autouse=True)
def by_front(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Plain requests are read by our own front, all others by aiohttp: both are to be relayed alike."""
    found: bool = request.param == "front"
    monkeypatch.setattr(sys.modules[__name__], "BY_FRONT", found)
    return found


BY_FRONT = True


class Site(NamedTuple):
    """The gateway's side of the relay at `url`, asked with `client`."""

    url: str
    client: aiohttp.ClientSession
    relay: Relay


@contextlib.asynccontextmanager
async def site_of(
    handler: Handler,
    *,
    trusted: tuple[str, ...] = (),
    down: bool = False,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Site]:
    app = web.Application(client_max_size=8 * MEBIBYTE)
    app.router.add_route("*", "/{tail:.*}", handler)
    inner = web.AppRunner(app, handler_cancellation=True, access_log=None, lingering_time=0.3)
    await inner.setup()
    loop = asyncio.get_running_loop()
    client_ip = ClientIp(tuple(ip_network(text) for text in trusted))

    async def connect() -> socket.socket:
        if down:
            raise SiteDown("it rests")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        await loop.connect_accepted_socket(inner.server, theirs)  # type: ignore[arg-type]
        return ours

    relay = Relay(connect)

    async def dispatch(request: ClientRequest) -> BaseAnswer:
        try:
            return await relay.answer(request, client_ip)
        except BadExchange as error:
            return Answer(error.status, "", error.code.encode())

    outer = EdgeRunner(
        dispatch, lambda status: Answer(status, "", b""), lambda _: BY_FRONT, shutdown_timeout=0.3
    )
    await outer.setup()
    site = web.TCPSite(outer, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        yield Site(f"{'https' if tls else 'http'}://127.0.0.1:{outer.addresses[0][1]}", client, relay)
    await relay.close()
    await outer.cleanup()
    await inner.cleanup()


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    headers = [[name, value] for name, value in request.headers.items()]
    return web.json_response(
        {"method": request.method, "target": request.raw_path, "headers": headers, "body": body.decode()}
    )


def named(answer: dict[str, Any], name: str) -> list[str]:
    return [value for header, value in answer["headers"] if header.lower() == name]


async def test_a_request_arrives_as_it_was_sent() -> None:
    async with site_of(echo) as site:
        sent = {"Host": "gate.example", "X-Odd": "a, b;c=d", "Cookie": "a=1; b=2", "Content-Type": "text/x"}
        target = "/api/v1/keys?search=a%2Fb+c&x=%C3%A4&empty=&=&q=1"
        async with site.client.post(
            URL(site.url + target, encoded=True), data=b"body", headers=sent
        ) as answer:
            got = await answer.json()
        assert got["method"] == "POST" and got["target"] == target and got["body"] == "body"
        for name, value in sent.items():
            assert named(got, name.lower()) == [value]
        assert named(got, "content-length") == ["4"]
        assert not named(got, "accept-encoding") or "gzip" in named(got, "accept-encoding")[0]


async def test_facts_are_the_gateways_own() -> None:
    async with site_of(echo) as site:
        forged = {"X-Gateway-Client-Ip": "9.9.9.9", "x-gateway-scheme": "https", "X-GATEWAY-actor": "root",
                  "X-Forwarded-For": "8.8.8.8", "X-Forwarded-Proto": "https"}  # fmt: skip
        async with site.client.get(site.url + "/api", headers=forged) as answer:
            got = await answer.json()
        assert named(got, "x-gateway-client-ip") == ["127.0.0.1"]
        assert named(got, "x-gateway-scheme") == ["http"]
        assert not named(got, "x-gateway-actor")


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
         "/CN=localhost", "-out", files[0], "-keyout", files[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    return context


async def test_tls_is_told(tls: ssl.SSLContext) -> None:
    async with site_of(echo, tls=tls) as site:
        async with site.client.get(site.url + "/api", ssl=False) as answer:
            assert named(await answer.json(), "x-gateway-scheme") == ["https"]


@pytest.mark.parametrize(
    ("forwarded_for", "proto", "ip", "scheme"),
    [
        ("8.8.8.8", "https", ["8.8.8.8"], "https"),
        ("1.1.1.1, 8.8.8.8", "http, https", ["8.8.8.8"], "https"),
        ("8.8.8.8", "https, http", ["8.8.8.8"], "http"),
        ("8.8.8.8", "gopher", ["8.8.8.8"], "http"),
        ("nonsense", "https", [], "https"),
    ],
)
async def test_trusted_proxies_are_believed(
    forwarded_for: str, proto: str, ip: list[str], scheme: str
) -> None:
    async with site_of(echo, trusted=("127.0.0.0/8",)) as site:
        headers = {"X-Forwarded-For": forwarded_for, "X-Forwarded-Proto": proto}
        async with site.client.get(site.url + "/api", headers=headers) as answer:
            got = await answer.json()
        assert named(got, "x-gateway-client-ip") == ip
        assert named(got, "x-gateway-scheme") == [scheme]


async def test_headers_about_the_connection_stay_behind() -> None:
    async with site_of(echo) as site:
        headers = {"Connection": "close, X-Hop, Host", "X-Hop": "1", "TE": "trailers", "Upgrade": "h2c"}
        async with site.client.get(site.url + "/api", headers={**headers, "Host": "kept"}) as answer:
            got = await answer.json()
        assert not any(named(got, name) for name in ("x-hop", "te", "upgrade"))
        assert named(got, "host") == ["kept"]


async def test_an_answer_passes_unchanged() -> None:
    async def answer_oddly(request: web.Request) -> web.Response:
        response = web.Response(status=302, reason="Over There", body=b"\x1f\x8bnot really gzip")
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Location"] = "/elsewhere"
        response.headers.add("X-Twice", "1")
        response.headers.add("X-Twice", "2")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async with site_of(answer_oddly) as site:
        async with site.client.get(site.url + "/dashboard", allow_redirects=False) as answer:
            assert (answer.status, answer.reason) == (302, "Over There")
            assert await answer.read() == b"\x1f\x8bnot really gzip"
            assert answer.headers["Location"] == "/elsewhere"
            assert answer.headers.getall("X-Twice") == ["1", "2"]
            assert len(answer.headers.getall("Set-Cookie")) == 2
            assert len(answer.headers.getall("Date")) == 1


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("DELETE", 204), ("GET", 304)])
async def test_answers_without_a_body(method: str, status: int) -> None:
    async def answer_shortly(request: web.Request) -> web.Response:
        return web.Response(status=status, body=b"12345" if status == 200 else None)

    async with site_of(answer_shortly) as site:
        for _ in range(2):  # the second on the same connection: the first must have ended where it should
            async with site.client.request(method, site.url + "/api") as answer:
                assert answer.status == status and await answer.read() == b""
                assert "Transfer-Encoding" not in answer.headers
                if method == "HEAD":
                    assert answer.headers["Content-Length"] == "5"


async def test_each_event_passes_at_once() -> None:
    go_on = asyncio.Event()

    async def tail(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await go_on.wait()
        await response.write(b"data: 2\n\n")
        return response

    async with site_of(tail) as site, site.client.get(site.url + "/api/v1/logs") as answer:
        assert await answer.content.readany() == b"data: 1\n\n"
        go_on.set()
        assert await answer.content.readany() == b"data: 2\n\n"
        assert await answer.content.readany() == b""


async def test_a_client_that_leaves_ends_the_work_for_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return response

    async with site_of(work) as site:
        answer = await site.client.get(site.url + "/api")
        await begun.wait()
        answer.close()
        async with asyncio.timeout(5):
            await ended.wait()
            while site.relay._running:
                await asyncio.sleep(0.01)


async def test_a_large_download_needs_little_memory() -> None:
    async def export(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(50):
            await response.write(bytes(MEBIBYTE))
        return response

    async with site_of(export) as site:
        tracemalloc.start()
        try:
            async with site.client.get(site.url + "/api") as answer:
                await asyncio.sleep(0.2)  # the client does not read yet: everybody before it must wait
                size = 0
                async for chunk in answer.content.iter_any():
                    size += len(chunk)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert size == 50 * MEBIBYTE
        assert peak < 12 * MEBIBYTE


async def test_an_upload_streams_and_an_early_refusal_arrives() -> None:
    sizes: list[int] = []

    async def take(request: web.Request) -> web.Response:
        if request.path == "/refuse":
            return web.Response(status=413, text="too large")
        sizes.append(len(await request.read()))
        return web.Response(text="thanks")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(MEBIBYTE)

    async with site_of(take) as site:
        async with site.client.post(site.url + "/take", data=body(), expect100=True) as answer:
            assert await answer.text() == "thanks"
        assert sizes == [4 * MEBIBYTE]
        async with site.client.post(site.url + "/refuse", data=body()) as answer:
            assert answer.status == 413


async def test_an_answer_that_breaks_off_is_seen_to_break_off() -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half of it")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with site_of(break_off) as site, site.client.get(site.url + "/api") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_nobody_there() -> None:
    async with site_of(echo, down=True) as site:
        async with site.client.get(site.url + "/api", headers={"Accept": "application/json"}) as answer:
            assert answer.status == 503 and answer.content_type == "application/problem+json"
        async with site.client.get(site.url + "/dashboard", headers={"Accept": "text/html"}) as answer:
            assert answer.status == 503 and answer.content_type == "text/html"


async def test_a_client_keeps_its_connection_where_the_end_is_known() -> None:
    async def remember(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/whole":
            return web.Response(body=body * 2)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"in chunks")
        return response

    async with site_of(remember) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(site.url).port)
        head = "POST /{} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        for _ in range(3):
            writer.write(head.format("whole").encode())
            told = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert told.startswith(b"http/1.1 200") and b"connection:" not in told
            assert await reader.readexactly(6) == b"abcabc"
        writer.write(head.format("stream").encode())
        rest = await reader.read()  # to the end of the connection
        assert b"connection: close" in rest.lower() and rest.endswith(b"in chunks\r\n0\r\n\r\n")
        writer.close()


async def test_what_is_no_answer_is_not_passed_on() -> None:
    async def babble(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.write(b"BABBLE\r\n\r\n")
        return web.Response()

    async with site_of(babble) as site, site.client.get(site.url + "/api") as answer:
        assert answer.status == 503


async def test_not_more_at_once_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_relay, "MAX_RUNNING", 1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response()

    async with site_of(wait) as site:
        first = asyncio.create_task(site.client.get(site.url + "/api"))
        await begun.wait()
        async with site.client.get(site.url + "/api") as answer:
            assert answer.status == 503
        go_on.set()
        assert (await first).status == 200


async def test_a_slow_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_relay, "HEAD_SECONDS", 0.05)

    async def sleep(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with site_of(sleep) as site, site.client.get(site.url + "/api") as answer:
        assert answer.status == 503
