"""One connection to a Redis or Valkey server: commands go out in order, and each reply finds the command that it answers.

All commands of one turn of the event loop leave in one write. Whoever gives up waiting changes nothing for the others:
the reply is still taken out in its place, and is handed to `late` if that was asked for. RESP2: https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

Reply = Any  # int, bytes, None, a list of replies, or hiredis.ReplyError
Part = str | int | bytes
Command = tuple[Part, ...] | bytes
"""Bytes are RESP already."""
Late = Callable[[Reply], None]
"""Takes a reply that nobody waits for; None when the connection broke before the reply, whoever waited."""

_LATENESS_SECONDS = 0.005

_NOTHING = object()


class Disconnected(Exception):
    """The connection is gone; whether the command was carried out is not known."""


class TooSlow(Exception):
    """The server did not answer in time; whether the command will be carried out is not known."""


class _Waiter:
    """Who waits for the next reply. `future` None: nobody, `late` takes it."""

    __slots__ = ("deadline", "future", "late", "sent_at")

    def __init__(
        self, future: "asyncio.Future[Reply] | None", sent_at: float, deadline: float, late: Late | None
    ) -> None:
        self.future = future
        self.sent_at = sent_at  # loop time, both
        self.deadline = deadline
        self.late = late


class Connection(asyncio.Protocol):
    """Open it with `loop.create_connection`. Raises Disconnected from every command once it is gone."""

    def __init__(self, on_lost: Callable[["Connection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._waiters: deque[_Waiter] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self.is_open = False
        self.is_slow = False  # somebody waited in vain, and nothing came since

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        reader, waiters = self._reader, self._waiters
        self.is_slow = False
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                if not waiters:
                    self.close()  # a reply that nobody asked for: what follows cannot be trusted
                    return
                waiter = waiters.popleft()
                future = waiter.future
                if future is not None and not future.done():
                    future.set_result(reply)
                elif waiter.late is not None:
                    waiter.late(reply)
        except hiredis.ProtocolError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_up()

    # What the owner calls

    def request(
        self, command: Command, timeout_seconds: float, late: Late | None = None
    ) -> "asyncio.Future[Reply]":
        """The reply to come. Fails with TooSlow after the time, with Disconnected when the connection breaks.

        A reply that comes after the time, or after the future was cancelled, goes to `late`. Raises Disconnected.
        """
        if not self.is_open:
            raise Disconnected
        now = self._loop.time()
        deadline = now + timeout_seconds
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiters.append(_Waiter(future, now, deadline, late))
        self._write(command)
        if self._timer is None or deadline < self._timer_due:
            self._wake_at(deadline)
        return future

    def tell(self, command: Command, late: Late | None = None) -> None:
        """A command that nobody waits for; its reply goes to `late`. Raises Disconnected."""
        if not self.is_open:
            raise Disconnected
        now = self._loop.time()
        self._waiters.append(_Waiter(None, now, now, late))
        self._write(command)

    def silent_seconds(self) -> float:
        """For how long the oldest command has had no answer."""
        return self._loop.time() - self._waiters[0].sent_at if self._waiters else 0.0

    def close(self) -> None:
        """Let go at once."""
        if self._transport is not None:
            self._transport.abort()
        self._give_up()

    # Inside

    def _write(self, command: Command) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        if not isinstance(command, bytes):
            packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub wants a tuple of one
            command = packed
        self._out.append(command)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self.is_open and self._transport is not None:
            self._transport.write(b"".join(out))

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = at
        self._timer = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        """Fail those whose time is over."""
        now = self._loop.time()
        if now - self._timer_due > _LATENESS_SECONDS:
            # It is we who were busy: the replies may be here already, and are read before we look again.
            self._wake_at(now + 0.001)
            return
        self._timer = None
        following = None
        for waiter in self._waiters:
            future = waiter.future
            if future is None or future.done():
                continue
            if waiter.deadline <= now:
                self.is_slow = True
                future.set_exception(TooSlow())
            elif following is None or waiter.deadline < following:
                following = waiter.deadline
        if following is not None:
            self._wake_at(following)

    def _give_up(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if waiter.future is not None and not waiter.future.done():
                waiter.future.set_exception(Disconnected())
            if waiter.late is not None:
                waiter.late(None)
        self._on_lost(self)
