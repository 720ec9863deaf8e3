"""The connections to one provider: warm ones reused, last in first out, and never more than allowed.

One pool per provider is also the bulkhead: a hung provider can use up its own connections only. The pool chooses
and counts; what happens on a connection is `connection`'s, how one is opened is `dial`'s. It retries nothing,
follows no redirect and knows nothing of models or keys.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import NamedTuple

from gateway_proxy.proxy.upstream.connection import Connection
from gateway_proxy.proxy.upstream.dial import default_ssl_context, open_connection
from gateway_proxy.proxy.upstream.errors import ConnectFailed, PoolExhausted
from gateway_proxy.proxy.upstream.http_proxy import HttpProxy
from gateway_proxy.proxy.upstream.origin import Origin, Timeouts
from gateway_proxy.proxy.upstream.response import UpstreamResponse
from gateway_proxy.proxy.upstream.shapes import Shapes

# One timer per pool serves every deadline, so a deadline may be missed by this much.
SWEEP_SECONDS = 0.25
# One read of a socket; with the response's high-water mark it bounds what an answer can have unread.
READ_BYTES = 65_536


class PoolStats(NamedTuple):
    """Connections now: `open` counts those being opened too; `waiting` requests have none yet."""

    open: int
    idle: int
    in_use: int
    waiting: int


class UpstreamPool:
    """`send` is the way in, in one step or two. Bound to the event loop of its first use.

    `request_target_prefix` and `proxy_head_lines` are empty unless an http origin is reached through a forward
    proxy: then the author of the head puts the first before the path (RFC 9112 §3.2.2) and adds the second,
    complete header lines each with CRLF, to the head.
    """

    def __init__(
        self,
        origin: Origin,
        timeouts: Timeouts,
        *,
        ssl_context: ssl.SSLContext | None = None,
        http_proxy: HttpProxy | None = None,
        max_connections: int = 1000,
        max_idle: int = 256,
        idle_seconds: float = 30.0,
        head_limit_bytes: int = 65_536,
    ) -> None:
        self.origin = origin
        self.timeouts = timeouts
        self.request_target_prefix = b""
        self.proxy_head_lines = b""
        self._http_proxy = http_proxy
        self._ssl_context: ssl.SSLContext | None = None
        if origin.scheme == "https":
            self._ssl_context = ssl_context or default_ssl_context()
        elif http_proxy is not None:
            self.request_target_prefix = b"http://" + origin.host_header
            if http_proxy.authorization:
                self.proxy_head_lines = b"Proxy-Authorization: " + http_proxy.authorization + b"\r\n"
        self._max_connections = max_connections
        self._max_idle = max_idle
        self._idle_seconds = idle_seconds
        self._head_limit_bytes = head_limit_bytes
        self._read_buffer = memoryview(bytearray(READ_BYTES))
        self._shapes = Shapes()
        self._idle: list[Connection] = []
        self._in_use: set[Connection] = set()
        self._opening = 0
        # Each waiter gets a free connection, or None: the right to open one.
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, head: bytes, body: bytes | list[bytes | memoryview] = b"") -> UpstreamResponse:
        """Send a request, head (with its empty line) and body as they are; return when the answer's head is in.

        An answer that comes while the body is still leaving is returned at once. Raises ConnectFailed or
        PoolExhausted (nothing has left), UpstreamTimeout or UpstreamBroken (something may have arrived). A
        cancelled send closes its connection.
        """
        return await self.exchange(self.take_warm() or await self.connect(), head, body)

    async def exchange(
        self, connection: Connection, head: bytes, body: bytes | list[bytes | memoryview] = b""
    ) -> UpstreamResponse:
        """The second half of `send`: with its first step the request begins to leave."""
        waiter = self.begin(connection, head, body)
        try:
            return await waiter
        except BaseException:
            connection.give_up(waiter)
            raise

    def begin(
        self, connection: Connection, head: bytes, body: bytes | list[bytes | memoryview]
    ) -> asyncio.Future[UpstreamResponse]:
        """As `exchange`, for a caller who awaits the answer itself and has the connection `give_up` what fails."""
        self._in_use.add(connection)
        return connection.start(head, body)

    def take_warm(self) -> Connection | None:
        """A connection for `exchange`, which must follow at once; None when none is free."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.abort()
        return None

    def stats(self) -> PoolStats:
        """Counts as of now."""
        in_use, idle = len(self._in_use), len(self._idle)
        return PoolStats(in_use + idle + self._opening, idle, in_use, len(self._waiters))

    async def close(self) -> None:
        """Close every connection at once; exchanges still running get UpstreamBroken."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in [*self._in_use, *self._idle]:
            connection.abort()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ConnectFailed("the pool is closed"))
        self._waiters.clear()
        await asyncio.sleep(0)  # let the transports tell their connections

    # --- called by connections

    def on_free(self, connection: Connection) -> None:
        self._in_use.discard(connection)
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                # It counts as in use until the waiter's task runs: nobody else may take it.
                self._in_use.add(connection)
                waiter.set_result(connection)
                return
        if len(self._idle) >= self._max_idle:
            connection.abort()
            return
        self._idle.append(connection)

    def on_lost(self, connection: Connection) -> None:
        if connection in self._in_use:
            self._in_use.discard(connection)
        elif connection in self._idle:
            self._idle.remove(connection)
        self._grant_slot()

    # --- inside

    async def connect(self) -> Connection:
        """As `take_warm`, waiting or opening as needed, all within the connect timeout."""
        if self._closed:
            raise ConnectFailed("the pool is closed")
        waiting = False
        try:
            async with asyncio.timeout(self.timeouts.connect):
                while True:
                    warm = self.take_warm()
                    if warm is not None:
                        return warm
                    if self.stats().open < self._max_connections:
                        return await self._open()
                    waiting = True
                    connection = await self._wait_for_slot()
                    waiting = False
                    if connection is None:
                        return await self._open_granted()
                    if connection.is_usable():
                        return connection
                    connection.abort()
        except TimeoutError as error:
            if waiting:
                raise PoolExhausted(
                    f"all {self._max_connections} connections to {self.origin.host} stayed in use for "
                    f"{self.timeouts.connect:g} s"
                ) from None
            raise ConnectFailed(
                f"cannot reach {self.origin.host}:{self.origin.port} within {self.timeouts.connect:g} s",
                timed_out=True,
            ) from error

    async def _wait_for_slot(self) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            # Cancelled in the very moment of being served: pass the gift on.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                connection = waiter.result()
                if connection is None:
                    self._opening -= 1
                    self._grant_slot()
                elif not connection.closed:
                    self.on_free(connection)
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _grant_slot(self) -> None:
        """One connection fewer: the next in line may open one."""
        while self._waiters and not self._closed:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._opening += 1
                waiter.set_result(None)
                return

    async def _open(self) -> Connection:
        self._opening += 1
        return await self._open_granted()

    async def _open_granted(self) -> Connection:
        """Open a connection on a slot that `_opening` counts already."""
        loop = asyncio.get_running_loop()
        try:
            connection = await open_connection(
                lambda: Connection(
                    loop, self.timeouts, self._head_limit_bytes, self._read_buffer, self._shapes
                ),
                self.origin,
                ssl_context=self._ssl_context,
                http_proxy=self._http_proxy,
                timeout_seconds=self.timeouts.connect,
            )
        except BaseException:
            self._opening -= 1
            self._grant_slot()
            raise
        self._opening -= 1
        if self._closed:
            connection.abort()
            raise ConnectFailed("the pool is closed")
        connection.attach(self)
        self._in_use.add(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP_SECONDS, self._sweep, loop)
        return connection

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Enforce deadlines and close what has been idle too long; runs while a connection is open."""
        now = loop.time()
        for connection in tuple(self._in_use):
            connection.check_deadline(now)
        stale = now - self._idle_seconds
        for connection in [warm for warm in self._idle if warm.idle_since <= stale]:
            connection.abort()
        open_now = self._in_use or self._idle
        self._sweeper = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if open_now else None
