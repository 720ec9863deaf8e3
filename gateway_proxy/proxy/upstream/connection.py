"""One connection to a provider: a protocol that carries one exchange at a time.

It promises: one write per request, one callback per read, a deadline per phase without a timer of its own (the
pool's sweep asks `check_deadline`), reads of bounded size, and that it is offered for reuse only after a
complete answer with not one byte beyond it. Opening it and choosing it are the work of `dial` and `pool`.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol, cast

from gateway_proxy.proxy.upstream.errors import Phase, UpstreamBroken, UpstreamError, UpstreamTimeout
from gateway_proxy.proxy.upstream.origin import Timeouts
from gateway_proxy.proxy.upstream.reader import BadFraming, ResponseReader
from gateway_proxy.proxy.upstream.response import UpstreamResponse
from gateway_proxy.proxy.upstream.shapes import Known, Shapes

# Measured: from here on a copy of the body costs more than a second buffer in the transport's write.
JOIN_LIMIT_BYTES = 16_384


class Owner(Protocol):
    """The pool, as seen from a connection."""

    def on_free(self, connection: Connection) -> None: ...
    def on_lost(self, connection: Connection) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """`start` begins an exchange; its future gives the response when the head is there, or an UpstreamError.

    `buffer` takes one read at a time and is emptied before the callback returns, so connections may share it.
    """

    __slots__ = (
        "_buffer", "_deadline", "_head", "_is_first", "_loop", "_owner", "_paused", "_reader", "_response", "_shapes",
        "_timeouts", "_touched", "_transport", "_used", "closed", "idle_since",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeouts: Timeouts,
        head_limit_bytes: int,
        buffer: memoryview,
        shapes: Shapes,
    ) -> None:
        self._buffer = buffer
        self._shapes = shapes
        self._is_first = False  # the next read is the first of an answer
        self._loop = loop
        self._timeouts = timeouts
        self._reader = ResponseReader(head_limit_bytes)
        self._transport: asyncio.Transport | None = None
        self._owner: Owner | None = None
        self._head: asyncio.Future[UpstreamResponse] | None = None
        self._response: UpstreamResponse | None = None
        self._deadline = 0.0
        self._touched = False
        self._paused = False
        self._used = False
        self.closed = False
        self.idle_since = 0.0

    # --- the pool's side

    def attach(self, owner: Owner) -> None:
        """From here on the owner is told when the connection is free and when it is lost."""
        self._owner = owner

    def is_usable(self) -> bool:
        """May a request be written? False in the moment between the transport's end and our hearing of it."""
        return not self.closed and self._transport is not None and not self._transport.is_closing()

    def start(self, head: bytes, body: bytes | list[bytes | memoryview]) -> asyncio.Future[UpstreamResponse]:
        """Write a request. The caller must abort the connection when it stops waiting for the future."""
        transport = self._transport
        assert transport is not None
        if head.startswith(b"HEAD "):
            self._reader.begin(skip_body=True)
        else:
            self._is_first = True
        self._deadline = self._loop.time() + self._timeouts.first_byte
        self._touched = False
        self._head = waiter = self._loop.create_future()
        if isinstance(body, list):
            transport.writelines([head, *body])
        elif len(body) < JOIN_LIMIT_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        return waiter

    def give_up(self, waiter: asyncio.Future[UpstreamResponse]) -> None:
        """Whoever waited for this head has stopped waiting: close what belongs to that exchange, and only that."""
        if self._head is waiter:
            self.abort()
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            waiter.result().close()

    def check_deadline(self, now: float) -> None:
        """Called by the pool's sweep, with the loop's time."""
        if self._paused or (self._head is None and self._response is None):
            return
        if self._touched:
            self._touched = False
            self._deadline = now + self._timeouts.between_bytes
        elif now >= self._deadline:
            phase: Phase = "first_byte" if self._response is None else "between_bytes"
            self._fail(UpstreamTimeout(phase, getattr(self._timeouts, phase)))

    # --- the response's side

    def pause_reading(self) -> None:
        if not self._paused and not self.closed and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self.closed and self._transport is not None:
            self._paused = False
            self._touched = True
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket now. Whoever still waits on this connection gets UpstreamBroken."""
        self._fail(UpstreamBroken("the connection was closed by us"))

    # --- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self._buffer[:nbytes].tobytes()
        response = self._response
        is_first = self._is_first
        if response is None and self._head is None:
            # Bytes nobody asked for: response splitting, or a 408 before the close. Never an answer to anything.
            self.abort()
            return
        if is_first:
            self._is_first = False
            known = self._shapes.read(data)
            if known is not None:
                self._give_whole(known)
                return
            self._reader.begin(skip_body=False)
        reader = self._reader
        try:
            reader.feed(data)
        except BadFraming as error:
            if response is not None and reader.body:
                response.receive(b"".join(reader.body))
            self._fail(UpstreamBroken(str(error)))
            return
        if response is None:
            if not reader.head_complete:
                return
            response = self._open_response()
            if response is None:
                return
        self._touched = True
        body = reader.body
        chunk = b""
        if body:
            chunk = body[0] if len(body) == 1 else b"".join(body)
            body.clear()
        if reader.complete:
            if is_first and reader.reusable:
                self._shapes.learn(data, response.status, response.reason, response.headers)
            # Free first: what the receiver does next may already need this connection.
            self._free(reader.reusable)
            response.finish(None, chunk)
        elif chunk:
            response.receive(chunk)

    def eof_received(self) -> bool:
        """The peer has closed its side: the end of a read-until-close body, else a break."""
        if self._response is not None and self._reader.ends_at_eof() and not self._cut_off():
            response, self._response = self._response, None
            self.abort()
            response.finish(None)
        else:
            self._fail(self._broken_off())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(self._broken_off())
        self._transport = None
        self._reader.release()

    # --- inside

    def _open_response(self) -> UpstreamResponse | None:
        reader = self._reader
        waiter, self._head = self._head, None
        response = UpstreamResponse(self, reader.status, reader.reason, reader.headers)
        if waiter is None or waiter.done():  # cancelled, and its task has not run yet
            self.abort()
            return None
        self._response = response
        waiter.set_result(response)
        return response

    def _give_whole(self, known: Known) -> None:
        waiter, self._head = self._head, None
        if waiter is None or waiter.done():  # cancelled, and its task has not run yet
            self.abort()
            return
        self._free(True)
        shape, values, body = known
        waiter.set_result(UpstreamResponse(None, shape.status, shape.reason, [], shape, values, body))

    def _free(self, reusable: bool) -> None:
        """The answer is complete: back to the pool, or away."""
        self._response = None
        transport = self._transport
        owner = self._owner
        if (
            not reusable
            or owner is None
            or self.closed
            or transport is None
            or transport.is_closing()
            # An early answer (401, 413) while the request is still leaving: the rest must not follow.
            or transport.get_write_buffer_size()
        ):
            self.abort()
            return
        if self._paused:
            self.resume_reading()
        self._used = True
        self.idle_since = self._loop.time()
        owner.on_free(self)

    def _cut_off(self) -> bool:
        """Over TLS only a close_notify ends a body; a bare FIN may be anybody's (RFC 8446 §6.1)."""
        assert self._transport is not None
        ssl_object = self._transport.get_extra_info("ssl_object")
        if ssl_object is None:
            return False
        try:
            return bool(ssl_object.read(1))
        except ssl.SSLError:
            return True

    def _broken_off(self) -> UpstreamBroken:
        if self._response is not None:
            return UpstreamBroken("upstream closed the connection before the end of its answer")
        if self._reader.started and not self._is_first:
            return UpstreamBroken("upstream closed the connection within the response head")
        return UpstreamBroken("upstream closed the connection without an answer", reused=self._used)

    def _fail(self, error: UpstreamError) -> None:
        """End everything on this connection; idempotent."""
        if self.closed:
            return
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        if self._owner is not None:
            self._owner.on_lost(self)
        waiter, self._head = self._head, None
        response, self._response = self._response, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        if response is not None:
            response.finish(error)
