"""Answers to the client, written to its socket in one piece.

aiohttp's own `Response` builds headers, length and chunking over several awaits; on the request path that is
a third of the cost of a request. These classes keep its interface (`prepare`, `write_eof`, `keep_alive`, the
`on_response_prepare` hook, so foreign applications can mount us) and write the bytes themselves, to requests of
our own front and of aiohttp alike. Everything that leans on aiohttp's inside lives here and in `edge.py`.
"""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict

from gateway_proxy.proxy.request import ClientRequest, FrontRequest

Headers = list[tuple[str, str]]
STALL_SECONDS = 60.0  # a client that takes nothing for so long is cut off


class BaseAnswer(web.StreamResponse):
    """The head, made of `status` and `headers`, goes out as it stands."""

    def __init__(self, status: int, headers: Headers) -> None:
        super().__init__(status=status, _real_headers=CIMultiDict(headers))
        self._begun = False

    async def prepare(self, request: ClientRequest) -> AbstractStreamWriter | None:
        """Send the head, unless it has left. Raises ConnectionError when the client has."""
        if not self.is_started:
            if isinstance(request, web.BaseRequest):
                await request._prepare_hook(self)
            self.start_now(request)
        return self._payload_writer

    def start_now(self, request: ClientRequest) -> None:
        """As `prepare`, without the hook."""
        raise NotImplementedError

    def _begin(self, request: ClientRequest, body_length: int | None) -> bytes:
        """The head's bytes; `body_length` None for a stream of unknown length."""
        if isinstance(request, FrontRequest):
            request.begin_answer()
        elif isinstance(request, web.BaseRequest):
            self._req = request
            self._payload_writer = request._payload_writer
        self._begun = True
        old = request.version < HttpVersion11
        keep_alive = self._keep_alive
        if keep_alive is None:
            keep_alive = request.keep_alive
        if body_length is None and old:
            keep_alive = False
        self._keep_alive = keep_alive
        lines = [f"HTTP/1.{0 if old else 1} {self._status} {self._reason}"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        if body_length is not None:
            lines.append(f"content-length: {body_length}")
        elif not old:
            lines.append("transfer-encoding: chunked")
        lines.append(f"date: {rfc822_formatted_time()}")
        if not keep_alive:
            lines.append("connection: close")
        elif old:
            lines.append("connection: keep-alive")
        head = "\r\n".join(lines)
        # One look at the whole head instead of one per header: no value may smuggle a line of its own in.
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
            raise ValueError("a response header contains a control character")
        return (head + "\r\n\r\n").encode("utf-8", "replace")

    @property
    def is_started(self) -> bool:
        return self._begun


async def _wait_for_reader(protocol: Any) -> None:
    """Returns once most of what was written has been taken. Raises ConnectionError, also after the time limit."""
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

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status, headers)
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
            await _wait_for_reader(self._protocol)


class StreamAnswer(BaseAnswer):
    """An answer that is written while it comes: one write per chunk, chunked coding on HTTP/1.1."""

    def __init__(self, status: int, headers: Headers, body_length: int | None = None) -> None:
        super().__init__(status, headers)
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
