"""Hands requests for the admin side to the admin process and its answers back, both as they come.

Bytes pass unchanged and unbuffered, a slow side slows the other, and whoever leaves is noticed. What the client
claims in the gateway's own headers is left out: the gateway tells the address and the scheme itself. The admin
process makes every header of its answers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from socket import socket
from typing import TYPE_CHECKING

from aiohttp import (
    BaseConnector,
    ClientError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    StreamReader,
    web,
)
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from gateway_proxy.app.site_facts import CLIENT_IP, PREFIX, SCHEME
from gateway_proxy.app.site_pages import answer_down
from gateway_proxy.app.site_process import SiteDown
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.body import IDLE_SECONDS
from gateway_proxy.proxy.client_ip import ClientIp

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

log = logging.getLogger("gateway_proxy.site")

Connect = Callable[[], Awaitable[socket]]
MAX_RUNNING = 256
KEPT_SECONDS = 15.0  # less than the other side keeps a connection: only its end can surprise us
HEAD_SECONDS = 120.0
STALL_SECONDS = 60.0  # a client that takes nothing for so long is cut off
WATCH_SECONDS = 0.25
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade", "expect")
)  # fmt: skip
_ALWAYS_PASSED = frozenset(("host", "content-length"))  # naming them in Connection changes nothing


class _Connector(BaseConnector):
    """Connections that the admin process is handed, each when it is needed first."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(limit=0, keepalive_timeout=KEPT_SECONDS)
        self._connect_site = connect

    async def _create_connection(
        self, req: "ClientRequest", traces: "list[Trace]", timeout: ClientTimeout
    ) -> ResponseHandler:
        ours = await self._connect_site()
        _, protocol = await self._loop.create_unix_connection(self._factory, sock=ours)
        return protocol


class Relay:
    """`connect` makes a connection to the admin process or raises SiteDown."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._session: ClientSession | None = None
        self._running = 0

    async def answer(self, request: web.BaseRequest, client_ip: ClientIp) -> web.StreamResponse:
        """The admin process's answer, already on its way to the client. Raises BadExchange."""
        target = request.raw_path
        if not target.isascii() or not target.isprintable():
            raise BadExchange("The request path is not in its plain form.", code="invalid_target")
        if self._running >= MAX_RUNNING:
            return answer_down(request.headers, "too many requests for the admin side run already")
        self._running += 1
        watch = _Watch(request)
        try:
            return await self._relay(request, make_headers(request, client_ip))
        except (SiteDown, ClientError, ConnectionError, TimeoutError) as error:
            if not isinstance(error, SiteDown) and request.transport is not None:
                log.warning("the admin process did not answer: %s", type(error).__name__)
            return answer_down(request.headers, "the admin side does not answer")
        finally:
            watch.cancel()
            self._running -= 1

    async def close(self) -> None:
        """Cut off what runs still."""
        if self._session is not None:
            await self._session.close()

    async def _relay(self, request: web.BaseRequest, headers: CIMultiDict[str]) -> web.StreamResponse:
        if self._session is None:
            self._session = _make_session(self._connect)
        # The host of this URL leads nowhere: the connection is handed over, and the Host header is the client's own.
        url = URL(f"http://site{request.raw_path}", encoded=True)
        async with asyncio.timeout(HEAD_SECONDS) as limit:
            body = _read_body(request, limit) if request.body_exists else None
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                limit.reschedule(None)
                response = web.StreamResponse(
                    status=answer.status, reason=answer.reason, headers=_without_hops(answer.headers)
                )
                await response.prepare(request)
                await _pass_body(request, answer.content, response)
                return response


async def _pass_body(request: web.BaseRequest, content: StreamReader, response: web.StreamResponse) -> None:
    try:
        async for chunk in content.iter_any():
            async with asyncio.timeout(STALL_SECONDS):
                await response.write(chunk)
    except (ClientError, OSError):  # TimeoutError is an OSError
        if request.transport is not None:
            request.transport.abort()  # the client must see that the answer broke off


async def _read_body(request: web.BaseRequest, limit: asyncio.Timeout) -> AsyncIterator[bytes]:
    """The client's body as it comes; each piece of it puts off the time limit for the answer."""
    expectation = request.headers.get("Expect", "").lower()
    if expectation == "100-continue" and request.version >= HttpVersion11 and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            chunk = await request.content.readany()
        if not chunk:
            return
        limit.reschedule(asyncio.get_running_loop().time() + HEAD_SECONDS)
        yield chunk


def make_headers(request: web.BaseRequest, client_ip: ClientIp) -> CIMultiDict[str]:
    """The client's headers for the admin process, with what the gateway knows of the client."""
    headers = _without_hops(request.headers)
    for name in set(headers):
        if name.lower().startswith(PREFIX):
            headers.popall(name, None)
    headers.setdefault("Host", "")  # else the client library would write one
    address = client_ip.find(request.remote, request.headers)
    if address is not None:
        headers[CLIENT_IP] = str(address)
    headers[SCHEME] = find_scheme(request, client_ip)
    return headers


def _without_hops(headers: MultiMapping[str]) -> CIMultiDict[str]:
    """All headers but those that are about one connection (RFC 9110 section 7.6.1)."""
    named = {name.strip().lower() for line in headers.getall("Connection", ()) for name in line.split(",")}
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if (lower := name.lower()) not in _HOP_BY_HOP and (lower not in named or lower in _ALWAYS_PASSED)
    )


def find_scheme(request: web.BaseRequest, client_ip: ClientIp) -> str:
    """What the client speaks. A trusted proxy is believed, and of several words the one it wrote last."""
    if client_ip.trusts(request.remote):
        told = ",".join(request.headers.getall("X-Forwarded-Proto", ())).rpartition(",")[2].strip().lower()
        if told in ("http", "https"):
            return told
    transport = request.transport
    return "https" if transport is not None and transport.get_extra_info("sslcontext") else "http"


def _make_session(connect: Connect) -> ClientSession:
    return ClientSession(
        connector=_Connector(connect),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        max_line_size=16_384,
        max_field_size=32_768,
    )


class _Watch:
    """Cancels the task that serves a request once its client has left: nothing else would tell a silent stream."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(WATCH_SECONDS, self._look)

    def _look(self) -> None:
        if self._request.transport is None and self._task is not None:
            self._task.cancel()
        else:
            self._timer = self._loop.call_later(WATCH_SECONDS, self._look)

    def cancel(self) -> None:
        self._timer.cancel()
