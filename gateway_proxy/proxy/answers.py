"""Answers to the client, written to its socket in one piece.

aiohttp's own `Response` builds headers, length and chunking over several awaits; on the request path that is
a third of the cost of a request. These classes keep its interface (`prepare`, `write_eof`, `keep_alive`, the
`on_response_prepare` hook, so foreign applications can mount us) and write the bytes themselves, to requests of
our own front and of aiohttp alike. Everything that leans on aiohttp's inside lives here and in `edge.py`.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict

from gateway_proxy.proxy.request import ClientRequest, FrontRequest

STALL_SECONDS = 60.0  # a client that takes nothing for so long is cut off
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def header_line(name: str, value: str) -> str:
    """One line of a head. Raises ValueError for a value that would smuggle a line of its own in."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("a response header contains a control character")
    return f"{name}: {value}\r\n"


class BaseAnswer(web.StreamResponse):
    """The head, made of `status` and `lines`, goes out as it stands.

    `lines` are whole header lines, each with its CRLF, made by `header_line` or out of what is known to hold no
    control character. What aiohttp keeps in a response of its own is made only when aiohttp looks.
    """

    _request_headers: CIMultiDict[str] | None = None
    is_whole = False  # one write was all

    def __init__(self, status: int, lines: str) -> None:
        self._status = status
        self._lines = lines
        self._begun = False

    @property
    def headers(self) -> CIMultiDict[str]:
        """For hooks of foreign applications, which may change them."""
        if self._request_headers is None:
            pairs = [line.split(": ", 1) for line in self._lines.split("\r\n")[:-1]]
            self._request_headers = CIMultiDict((name, value) for name, value in pairs)
        return self._request_headers

    @property
    def reason(self) -> str:
        return _REASONS.get(self._status, "")

    async def prepare(self, request: ClientRequest) -> AbstractStreamWriter | None:
        """Send the head, unless it has left. Raises ConnectionError when the client has."""
        if not self.is_started:
            if isinstance(request, web.BaseRequest):
                self._state: dict[Any, Any] = {}
                self._reason = self.reason
                self._headers = self.headers
                await request._prepare_hook(self)
                self._lines = "".join([header_line(name, value) for name, value in self.headers.items()])
            self.start_now(request)
        return self._payload_writer

    def start_now(self, request: ClientRequest) -> None:
        """As `prepare`, without the hook."""
        raise NotImplementedError

    def _begin(self, request: ClientRequest, body_length: int | None) -> bytes:
        """The head's bytes; `body_length` None for a stream of unknown length."""
        old = False
        if type(request) is FrontRequest:
            request.begin_answer()
        else:
            old = request.version < HttpVersion11
            if isinstance(request, web.BaseRequest):
                self._req = request
                self._payload_writer = request._payload_writer
        self._begun = True
        keep_alive = self._keep_alive
        if keep_alive is None:
            keep_alive = request.keep_alive
        if body_length is not None:
            framing = f"content-length: {body_length}\r\ndate: "
        elif old:
            framing, keep_alive = "date: ", False
        else:
            framing = "transfer-encoding: chunked\r\ndate: "
        self._keep_alive = keep_alive
        if not keep_alive:
            end = "\r\nconnection: close\r\n\r\n"
        else:
            end = "\r\nconnection: keep-alive\r\n\r\n" if old else "\r\n\r\n"
        status = self._status
        start = f"HTTP/1.{0 if old else 1} {status} {_REASONS.get(status, '')}\r\n"
        head = f"{start}{self._lines}{framing}{rfc822_formatted_time()}{end}"
        return head.encode("utf-8", "replace")

    @property
    def is_started(self) -> bool:
        return self._begun


async def wait_for_reader(protocol: Any) -> None:
    """`protocol` is a client's connection. Returns once most of what was written has been taken. Raises ConnectionError, also after the time limit."""
    transport = protocol.transport
    try:
        async with asyncio.timeout(STALL_SECONDS):
            await protocol._drain_helper()
    except TimeoutError:
        if transport is not None:
            transport.abort()
        raise ConnectionResetError("the client does not read") from None


class Answer(BaseAnswer):
    """A whole answer: head and body leave in one write."""

    is_whole = True

    def __init__(self, status: int, lines: str, body: bytes) -> None:
        BaseAnswer.__init__(self, status, lines)
        self._whole_body = body
        self._protocol: Any = None

    @property
    def body(self) -> bytes:
        return self._whole_body

    def start_now(self, request: ClientRequest) -> None:
        body = self._whole_body
        head = self._begin(request, len(body))
        self._protocol = request.protocol
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client left")
        if request.method == "HEAD":
            transport.write(head)
        else:
            self._body_length = len(body)
            transport.write(head + body)

    async def write_eof(self, data: bytes = b"") -> None:
        """Waits for a client that does not read, so that its further requests cannot pile up answers here."""
        self._eof_sent = True
        self._req = None
        self._payload_writer = None
        if self._protocol is not None and self._protocol.writing_paused:
            await wait_for_reader(self._protocol)


class PassedAnswer(BaseAnswer):
    """An answer that somebody else made, head and all, and that is written already."""

    is_whole = True

    def __init__(self, request: ClientRequest, status: int, keep_alive: bool) -> None:
        BaseAnswer.__init__(self, status, "")
        self._begun = True
        self._keep_alive = keep_alive
        self._protocol = request.protocol

    async def write_eof(self, data: bytes = b"") -> None:
        """Waits for a client that does not read."""
        self._eof_sent = True
        if self._protocol.writing_paused:
            await wait_for_reader(self._protocol)


class StreamAnswer(BaseAnswer):
    """An answer that is written while it comes: one write per chunk, chunked coding on HTTP/1.1."""

    def __init__(self, status: int, lines: str, body_length: int | None = None) -> None:
        BaseAnswer.__init__(self, status, lines)
        self._announced_length = body_length
        self._frames = False
        self._transport: asyncio.Transport | None = None
        self._protocol: Any = None

    def start_now(self, request: ClientRequest) -> None:
        head = self._begin(request, self._announced_length)
        self._frames = self._announced_length is None and request.version >= HttpVersion11
        self._protocol = request.protocol
        self._transport = request.transport
        if self._transport is None:
            raise ConnectionResetError("the client left")
        self._transport.write(head)

    def send(self, data: bytes) -> None:
        """Hand bytes to the socket; never waits. Does nothing once the client has left."""
        transport = self._transport
        if transport is None or not data or self._protocol.transport is None:
            return
        self._body_length += len(data)
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._frames else data)

    @property
    def is_paused(self) -> bool:
        """Whether the client reads slower than we write."""
        return bool(self._protocol.writing_paused)

    async def wait_until_writable(self) -> None:
        """Returns once the client took what it was sent. Raises ConnectionError when it left."""
        await self._protocol._drain_helper()

    def abort(self) -> None:
        """End the connection without the regular end of the body: the client must see that it broke."""
        self._keep_alive = False
        self._frames = False
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def write_eof(self, data: bytes = b"") -> None:
        if self._eof_sent:
            return
        self._eof_sent = True
        if self._frames and self._transport is not None and self._protocol.transport is not None:
            self._transport.write(b"0\r\n\r\n")
        self._req = None
        self._payload_writer = None
        self._transport = None
