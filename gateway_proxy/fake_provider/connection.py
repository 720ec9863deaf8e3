"""One client connection: bytes in, whole requests out, writes with backpressure, and the moment the client goes away.

HTTP/1.1 by httptools. Routing and answers do not belong here. A half-closed connection counts as gone.
"""

import asyncio
import dataclasses
import socket
import struct
import sys
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import httptools

MAX_BODY_BYTES = 256 << 20
_WRITE_HIGH_WATER_BYTES = 64 << 10


@dataclasses.dataclass(slots=True)
class Request:
    """One whole request. Header names are lower case; a repeated header keeps its last value."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


Serve = Callable[["Connection", Request], Awaitable[None]]


class Connection(asyncio.Protocol):
    """Parses requests and serves them one after the other with `serve`."""

    def __init__(
        self, serve: Serve, on_open: Callable[[], None], on_lost: Callable[["Connection"], None]
    ) -> None:
        self.closed = False
        self.closed_monotonic: float | None = None
        self.current: Any = None
        self.keep_alive = True
        self._serve, self._on_open, self._on_lost = serve, on_open, on_lost
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._write_paused = False
        self._drainer: asyncio.Future[None] | None = None
        self._sleeper: asyncio.Future[None] | None = None
        self._closing = False

    # asyncio.Protocol

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER_BYTES)
        self._on_open()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.close()

    def eof_received(self) -> bool:
        if self._task is not None:
            # Closing politely would wait for a reader that may never read the rest.
            self._mark_closed()
            self._transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._mark_closed()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        _wake(self._drainer)

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            raise ValueError("the body is too large")

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        self._queue.append(
            Request(
                self._parser.get_method().decode("latin-1"),
                path,
                parse_qs(query) if query else {},
                self._headers,
                bytes(self._body),
                self._parser.should_keep_alive(),
            )
        )
        if self._task is None:
            self._task = self._loop.create_task(self._serve_queue())

    # For those who answer

    def write(self, data: bytes | bytearray) -> None:
        """Queue bytes; nothing happens once the client is gone."""
        if not self.closed and not self._closing:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has read enough, or is gone."""
        while self._write_paused and not self.closed:
            self._drainer = self._loop.create_future()
            await self._drainer

    async def flush(self, timeout_seconds: float = 2.0) -> None:
        """Wait until everything written has been handed to the kernel, or the client is gone, or the time is up."""
        await self.pause(0.001)
        deadline = self._loop.time() + timeout_seconds
        while not self.closed and self._transport.get_write_buffer_size() and self._loop.time() < deadline:
            await self.pause(0.005)

    async def pause(self, seconds: float) -> None:
        """Sleep; returns at once when the client goes away."""
        if self.closed:
            return
        sleeper = self._sleeper = self._loop.create_future()
        handle = self._loop.call_later(seconds, _wake, sleeper)
        try:
            await sleeper
        finally:
            handle.cancel()
            self._sleeper = None

    def close(self) -> None:
        """Close politely: what was written still goes out, then FIN."""
        self._closing = True
        self._transport.close()

    def reset(self) -> None:
        """Close with RST; unsent bytes are lost."""
        self._closing = True
        self._transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self._transport.abort()

    def abort(self) -> None:
        """Drop the connection, as at shutdown: to the running answer this looks like a client that went away."""
        self._transport.abort()

    def _mark_closed(self) -> None:
        if self.closed:
            return
        self.closed = True
        if not self._closing:
            self.closed_monotonic = time.monotonic()
        self._on_lost(self)
        _wake(self._drainer)
        _wake(self._sleeper)

    async def _serve_queue(self) -> None:
        try:
            while self._queue and not self.closed and not self._closing:
                request = self._queue.popleft()
                self.keep_alive = request.keep_alive
                await self._serve(self, request)
                if not self.keep_alive:
                    self.close()
        except Exception:  # noqa: BLE001 - the last line of defence: one bug must not end the others
            traceback.print_exc(file=sys.stderr)
            self._transport.abort()
        finally:
            self._task = None


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
