"""Our own front: client connections read without aiohttp's machinery, one task per request, one timer for all.

It serves plain heads (see `plain_head`) for paths it was told to serve. The first request of a connection that is
anything else takes the connection, with every byte not yet served, over to the strict edge on aiohttp for good.
Requests of a connection are handled one after the other; while one is handled little of the next is read.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp.tcp_helpers import tcp_keepalive

from gateway_proxy.proxy.answers import BaseAnswer
from gateway_proxy.proxy.plain_head import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    PlainHead,
    may_become_plain,
    parse_plain_head,
)
from gateway_proxy.proxy.request import BUFFER_BYTES, ClientRequest, FrontRequest

log = logging.getLogger("gateway_proxy.front")

HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75.0
CLOSING_SECONDS = 60.0
LINGER_SECONDS = 2.0  # how long the rest of a body that nobody wants is read, so that the answer arrives
SWEEP_SECONDS = 0.5
HEAD_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

Dispatch = Callable[[ClientRequest], Awaitable[BaseAnswer]]
TakeOver = Callable[[asyncio.Transport, bytes, float], asyncio.Protocol]


class Fronts:
    """The connections of our own front.

    `refuse` makes the answer to a fault of ours from a status; `take_over` begins another protocol on a transport,
    given the bytes read so far and the seconds that remain for its first head.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        refuse: Callable[[int], BaseAnswer],
        serves: Callable[[str], bool],
        take_over: TakeOver,
    ) -> None:
        self.dispatch = dispatch
        self.refuse = refuse
        self.serves = serves
        self.take_over = take_over
        self.closing = False
        self.note_late: Callable[[str], None] | None = None
        self.connections: set[FrontConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: "FrontConnection") -> None:
        self.connections.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def remove(self, connection: "FrontConnection") -> None:
        self.connections.discard(connection)

    def wind_down(self, note_late: Callable[[str], None]) -> None:
        """Connections end with their next answer, which says so; `note_late` is told the path of each request from here on."""
        self.note_late = note_late
        for connection in self.connections:
            connection.forget_head()

    @property
    def busy(self) -> int:
        """How many requests are being read or answered."""
        return sum(connection.task is not None for connection in self.connections)

    def close_idle(self) -> None:
        """From here on no connection serves a further request."""
        self.closing = True
        for connection in tuple(self.connections):
            if connection.task is None:
                connection.close()

    async def shut_down(self, timeout_seconds: float) -> None:
        """Wait for the requests that run; what is left is cancelled and cut off."""
        self.close_idle()
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=timeout_seconds)
        for connection in tuple(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        try:
            for connection in tuple(self.connections):
                if connection.deadline and now >= connection.deadline:
                    connection.expire()
        finally:  # whatever happens to one connection, the deadlines of the others stand
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep) if self.connections else None


class FrontConnection(asyncio.Protocol):
    """One client connection. `deadline` is the loop time at which it is ended; 0 while a request is handled."""

    __slots__ = (
        "_buffer", "_drain_waiters", "_fronts", "_head", "_keeps", "_loop", "_reading_paused", "_request", "deadline", "remote", "task",
        "transport", "writing_paused",
    )  # fmt: skip

    def __init__(self, fronts: Fronts, loop: asyncio.AbstractEventLoop) -> None:
        self._fronts = fronts
        self._loop = loop
        self._buffer = b""  # read, and not yet part of a request
        self._head: PlainHead | None = None  # of the last request
        self._request: FrontRequest | None = None  # being handled, or answered before its body was here
        self._keeps = False  # go on with the next request once the rest of the body has been dropped
        self._reading_paused = False
        self._drain_waiters: list[asyncio.Future[None]] = []
        self.writing_paused = False
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None
        self.remote: str | None = None
        self.deadline = 0.0

    # --- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        tcp_keepalive(self.transport)
        peer = transport.get_extra_info("peername")
        if peer is not None:
            self.remote = str(peer[0]) if isinstance(peer, list | tuple) else str(peer)
        self.deadline = self._loop.time() + HEAD_SECONDS
        self._fronts.add(self)

    def data_received(self, data: bytes) -> None:
        request = self._request
        if request is None:
            self._read_head(self._buffer + data if self._buffer else data)
            return
        if request.missing:
            data = request.feed(data)
            if self.task is None and not request.missing:
                self._buffer = data
                self._end_request(self._keeps)
                return
        if data and self.task is not None:
            self._buffer += data
            if len(self._buffer) > BUFFER_BYTES:
                self.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._buffer = b""
        self._fronts.remove(self)
        if self._request is not None:
            self._request.lose()
        self.writing_paused = False
        for waiter in self._drain_waiters:
            if not waiter.done():
                waiter.set_exception(ConnectionResetError("the client left"))

    def pause_writing(self) -> None:
        self.writing_paused = True

    def resume_writing(self) -> None:
        self.writing_paused = False
        for waiter in self._drain_waiters:
            if not waiter.done():
                waiter.set_result(None)

    # --- the request's and the answer's side

    def pause_reading(self) -> None:
        if not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and self.transport is not None:
            self._reading_paused = False
            self.transport.resume_reading()

    async def _drain_helper(self) -> None:
        """Named as aiohttp's: returns once the client took most of what was written. Raises ConnectionResetError."""
        if self.transport is None:
            raise ConnectionResetError("the client left")
        if not self.writing_paused:
            return
        waiter = self._loop.create_future()
        self._drain_waiters.append(waiter)
        try:
            await waiter
        finally:
            self._drain_waiters.remove(waiter)

    # --- the front's side

    def close(self) -> None:
        """End the connection once the client has taken what was written; not later than in a minute."""
        if self.transport is not None:
            self.deadline = self._loop.time() + CLOSING_SECONDS
            self.transport.close()

    def forget_head(self) -> None:
        """Read the next head anew, whatever it equals; what is being answered is the last on this connection."""
        if self._head is not None:
            self._head.keep_alive = False
            self._head = None

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = 0.0
        transport = self.transport
        if transport is None:
            return
        if transport.is_closing() or transport.get_write_buffer_size():
            transport.abort()  # what is written still is for a client that takes nothing
            return
        if self._request is None and self._buffer:
            transport.write(HEAD_TIMEOUT)
        self.close()

    # --- inside

    def _read_head(self, data: bytes) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        end = data.find(END_OF_HEAD, 0, MAX_HEAD_BYTES)
        if end < 0:
            if not may_become_plain(data):
                self._hand_over(transport, data)
                return
            if not self._buffer:
                self.deadline = min(self.deadline, self._loop.time() + HEAD_SECONDS)
            self._buffer = data
            return
        head = self._head
        length = -1 if head is None else head.match(data, end + 2)
        if length < 0:
            parsed = parse_plain_head(data[: end + 2])
            if parsed is None or not self._fronts.serves(parsed[0].path):
                self._hand_over(transport, data)
                return
            head, length = parsed
            if self._fronts.note_late is None:
                self._head = head
            else:
                head.keep_alive = False
                self._fronts.note_late(head.path)
        assert head is not None
        self._request = request = FrontRequest(self, head, length)
        self.deadline = 0.0
        self._buffer = request.feed(data[end + 4 :])
        self.task = self._loop.create_task(self._serve(request))

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        self._fronts.remove(self)
        self.resume_reading()
        self.transport = None
        self._buffer = b""
        seconds = min(HEAD_SECONDS, max(0.0, self.deadline - self._loop.time()))
        handler = self._fronts.take_over(transport, data, seconds)
        if self.writing_paused:
            handler.pause_writing()

    async def _serve(self, request: FrontRequest) -> None:
        keeps = False
        try:
            try:
                answer = await self._fronts.dispatch(request)
            except Exception:
                log.exception("unhandled error while answering")
                answer = self._fronts.refuse(500)
                answer.force_close()
            if not answer.is_started:
                answer.start_now(request)
            if self.writing_paused or not answer.is_whole:
                await answer.write_eof()
            keeps = bool(answer.keep_alive)
        except ConnectionError:
            pass  # the client left, or would not read
        except Exception:
            log.exception("unhandled error while answering")
        finally:
            self.task = None
            if request.missing and self.transport is not None and not self.transport.is_closing():
                self._drop_rest(self.transport, request, keeps)
            else:
                self._end_request(keeps)

    def _drop_rest(self, transport: asyncio.Transport, body: FrontRequest, keeps: bool) -> None:
        """RFC 9112 section 9.6: closing with bytes unread would reset the connection and lose the answer."""
        body.discard()
        self._keeps = keeps
        self.deadline = self._loop.time() + LINGER_SECONDS
        if not keeps and transport.can_write_eof():
            transport.write_eof()
        self.resume_reading()

    def _end_request(self, keeps: bool) -> None:
        self._request = None
        transport = self.transport
        if transport is None:
            return
        if not keeps or self._fronts.closing:
            self.close()
            return
        self.deadline = self._loop.time() + KEEP_ALIVE_SECONDS
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._read_head(data)
        if (
            self._reading_paused and len(self._buffer) <= BUFFER_BYTES
        ):  # each read can bring more than the request taken
            self.resume_reading()
