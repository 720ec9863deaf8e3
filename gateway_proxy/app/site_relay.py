"""Hands requests for the admin side to the admin process and its answers back, both as they come.

Bytes pass unchanged and unbuffered, a slow side slows the other, and whoever leaves is noticed. What the client
claims in the gateway's own headers is left out: the gateway tells the address and the scheme itself. The admin
process makes every header of its answers; of them only where the answer ends is read here, since each moment spent
on a page is one in which the data plane waits.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import socket
from typing import cast

from aiohttp import web
from aiohttp.http import HttpVersion11

from gateway_proxy.app.site_facts import CLIENT_IP, PREFIX, SCHEME
from gateway_proxy.app.site_pages import answer_down
from gateway_proxy.app.site_process import SiteDown
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.tasks import spawn
from gateway_proxy.proxy.answers import BaseAnswer, PassedAnswer, header_line, wait_for_reader
from gateway_proxy.proxy.body import IDLE_SECONDS
from gateway_proxy.proxy.client_ip import ClientIp
from gateway_proxy.proxy.request import ClientRequest, FrontRequest

log = logging.getLogger("gateway_proxy.site")

Connect = Callable[[], Awaitable[socket]]
MAX_RUNNING = 256
MAX_HEAD_BYTES = 65_536
HEAD_SECONDS = 120.0
WATCH_SECONDS = 0.25
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade", "expect", "content-length")
)  # fmt: skip
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,18})\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close(?=\r\n)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
_WITHOUT_BODY = (204, 304)


class Relay:
    """`connect` makes a connection to the admin process or raises SiteDown."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._running: set[_Passing] = set()

    async def answer(self, request: ClientRequest, client_ip: ClientIp) -> BaseAnswer:
        """The admin process's answer, already written to the client. Raises BadExchange."""
        target = request.raw_path
        if not target.isascii() or not target.isprintable():
            raise BadExchange("The request path is not in its plain form.", code="invalid_target")
        if len(self._running) >= MAX_RUNNING:
            return answer_down(request.headers, "too many requests for the admin side run already")
        passing = _Passing(request)
        self._running.add(passing)
        try:
            return await self._pass(passing, request, client_ip)
        except (OSError, TimeoutError) as error:
            if passing.begun:
                return PassedAnswer(request, 502, keep_alive=False)  # it broke off
            if not isinstance(error, SiteDown) and request.transport is not None:
                log.warning("the admin process did not answer: %s", type(error).__name__)
            return answer_down(request.headers, "the admin side does not answer")
        finally:
            passing.end()
            self._running.discard(passing)

    async def close(self) -> None:
        """Cut off what runs still."""
        for passing in tuple(self._running):
            passing.end()

    async def _pass(self, passing: "_Passing", request: ClientRequest, client_ip: ClientIp) -> BaseAnswer:
        length = _announced_length(request)
        head = make_head(request, client_ip, length)
        connection = await self._connect()
        await asyncio.get_running_loop().create_unix_connection(lambda: passing, sock=connection)
        passing.send(head)
        async with asyncio.timeout(HEAD_SECONDS) as limit:
            if length != 0:
                passing.sending = spawn(_send_body(request, passing, length is None, limit), "send a body on")
            return await passing.pass_answer(limit)


class _Passing(asyncio.Protocol):
    """One request at the admin process, and its answer on the way to the client."""

    def __init__(self, request: ClientRequest) -> None:
        self.begun = False  # the answer's head has left
        self.sending: asyncio.Task[None] | None = None
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._limit: asyncio.Timeout | None = None
        self._ended: asyncio.Future[PassedAnswer] = self._loop.create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._buffer = b""  # a head that is not whole yet; afterwards the end of what came
        self._answer: PassedAnswer | None = None
        self._left: int | None = None  # of the body, where its length is known
        self._is_chunked = False
        self._waits = False
        self._watch = self._loop.call_later(WATCH_SECONDS, self._look)

    async def pass_answer(self, limit: asyncio.Timeout) -> PassedAnswer:
        """Returns once all of it is written; `limit` holds until its head is here. Raises OSError."""
        self._limit = limit
        return await self._ended

    def send(self, data: bytes) -> None:
        """Hand bytes of the request to the socket; never waits. Raises ConnectionResetError."""
        if self._transport is None:
            raise ConnectionResetError("the admin process has closed the connection")
        self._transport.write(data)

    async def wait_until_writable(self) -> None:
        """Returns once most of what was sent has been taken."""
        await self._writable.wait()

    def end(self) -> None:
        """Nothing more passes. What has begun and is not whole is seen to break off."""
        self._watch.cancel()
        if self.sending is not None:
            self.sending.cancel()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._break_off(ConnectionResetError("it was ended"))

    # --- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._ended.done():
            return
        out = self._take_head(self._buffer + data) if self._answer is None else self._count(data)
        if not out:
            return
        client = self._request.transport
        if client is None:
            self.end()
            return
        client.write(out)
        if self._left == 0:
            self._finish()
        elif self._request.protocol.writing_paused and not self._waits and self._transport is not None:
            self._waits = True
            self._transport.pause_reading()
            spawn(self._wait_for_client(), "wait for a slow client")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        if self._ended.done():
            return
        whole = exc is None and self._left is None and self._answer is not None
        if whole and (not self._is_chunked or self._buffer == _LAST_CHUNK):
            self._finish()
        else:
            self._break_off(exc or ConnectionResetError("the admin process closed the connection"))

    # --- inside

    def _take_head(self, data: bytes) -> bytes:
        """What goes to the client now: nothing until the head is whole."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD_BYTES:
            self._buffer = data
            if len(data) > MAX_HEAD_BYTES:
                self._break_off(ConnectionResetError("the head of the answer is too long"))
            return b""
        head, body = data[: end + 4], data[end + 4 :]
        status_line = _STATUS.match(head)
        if status_line is None:
            self._break_off(ConnectionResetError("that is no answer"))
            return b""
        status = int(status_line[1])
        if type(self._request) is FrontRequest:
            self._request.begin_answer()
        self.begun = True
        if self._limit is not None:
            self._limit.reschedule(None)
        if self._request.method == "HEAD" or status in _WITHOUT_BODY:
            self._left = 0
        elif length := _LENGTH.search(head):
            self._left = int(length[1])
        keeps = self._left is not None and self._request.keep_alive and self._request.version >= HttpVersion11
        if keeps:
            head = _CLOSE.sub(b"", head)  # said of the connection between us and the admin process
        self._is_chunked = _CHUNKED.search(head) is not None
        self._buffer = b""
        self._answer = PassedAnswer(self._request, status, keeps)
        return head + self._count(body)

    def _count(self, data: bytes) -> bytes:
        """What of it belongs to the body."""
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        elif self._is_chunked:
            self._buffer = (self._buffer + data)[-len(_LAST_CHUNK) :]
        return data

    def _finish(self) -> None:
        assert self._answer is not None
        self._ended.set_result(self._answer)

    def _break_off(self, error: Exception) -> None:
        if self._ended.done():
            return
        if self.begun and self._request.transport is not None:
            self._request.transport.abort()  # the client must see that the answer broke off
        self._ended.set_exception(error)
        self._ended.exception()  # seen: whoever waits may have been cancelled

    def _look(self) -> None:
        """Nothing else would tell the end of a client whose answer is silent."""
        if self._request.transport is None:
            self.end()
        else:
            self._watch = self._loop.call_later(WATCH_SECONDS, self._look)

    async def _wait_for_client(self) -> None:
        try:
            await wait_for_reader(self._request.protocol)
        except ConnectionError:
            self.end()
        else:
            self._waits = False
            if self._transport is not None:
                self._transport.resume_reading()


async def _send_body(
    request: ClientRequest, passing: _Passing, in_chunks: bool, limit: asyncio.Timeout
) -> None:
    """The client's body as it comes; each piece of it puts off the time limit for the answer."""
    expectation = request.headers.get("Expect", "").lower()
    if expectation == "100-continue" and request.version >= HttpVersion11 and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    with suppress(OSError, TimeoutError):  # what comes of a part of a body is the admin process's to say
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                piece = await request.content.readany()
            if in_chunks:
                passing.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif piece:
                passing.send(piece)
            if not piece:
                return
            if not passing.begun:
                limit.reschedule(asyncio.get_running_loop().time() + HEAD_SECONDS)
            await passing.wait_until_writable()
    passing.end()


def _announced_length(request: ClientRequest) -> int | None:
    """Of the body; None for one of unknown length."""
    if isinstance(request, FrontRequest):
        return request.length
    assert isinstance(request, web.BaseRequest)
    if not request.body_exists:
        return 0
    return request.content_length


def make_head(request: ClientRequest, client_ip: ClientIp, length: int | None) -> bytes:
    """The client's head for the admin process, with what the gateway knows of the client."""
    named = {
        name.strip().lower() for line in request.headers.getall("Connection", ()) for name in line.split(",")
    }
    named.discard("host")  # naming it in Connection changes nothing
    left_out = _HOP_BY_HOP | named
    lines = [
        header_line(name, value)
        for name, value in request.headers.items()
        if (lower := name.lower()) not in left_out and not lower.startswith(PREFIX)
    ]
    if "Host" not in request.headers:
        lines.append("host: \r\n")
    if length is None:
        lines.append("transfer-encoding: chunked\r\n")
    elif length or request.method not in ("GET", "HEAD"):
        lines.append(f"content-length: {length}\r\n")
    address = client_ip.find(request.remote, request.headers)
    if address is not None:
        lines.append(f"{CLIENT_IP}: {address}\r\n")
    version = "1.1" if request.version >= HttpVersion11 else "1.0"
    start = f"{request.method} {request.raw_path} HTTP/{version}\r\n"
    facts = f"{SCHEME}: {find_scheme(request, client_ip)}\r\nconnection: close\r\n\r\n"
    return f"{start}{''.join(lines)}{facts}".encode("utf-8", "surrogateescape")


def find_scheme(request: ClientRequest, client_ip: ClientIp) -> str:
    """What the client speaks. A trusted proxy is believed, and of several words the one it wrote last."""
    if client_ip.trusts(request.remote):
        told = ",".join(request.headers.getall("X-Forwarded-Proto", ())).rpartition(",")[2].strip().lower()
        if told in ("http", "https"):
            return told
    transport = request.transport
    return "https" if transport is not None and transport.get_extra_info("sslcontext") else "http"
