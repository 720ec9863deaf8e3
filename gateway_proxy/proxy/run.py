"""One exchange while it is being relayed: who waits for whom, and how it can be ended from outside."""

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gateway_proxy.core.exchange import Exchange
from gateway_proxy.proxy.answers import StreamAnswer
from gateway_proxy.proxy.request import ClientRequest

if TYPE_CHECKING:
    from gateway_proxy.core.dialect import Dialect, UsageTap


class Cut(StrEnum):
    """Why a running exchange was ended from outside."""

    CLIENT_GONE = "client_gone"
    REVOKED = "revoked"
    SHUTDOWN = "shutdown"
    CANCELLED = "cancelled"  # the client took its request back and stays


class Run:
    """State shared by the relay, which works on it, and the sweeper, which watches it."""

    __slots__ = (
        "answer", "cut", "dialect", "drains", "early_head", "exchange", "gone_at", "last_write_at", "paused_since", "request", "started_at",
        "streaming", "tap", "task", "upward",
    )  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        request: ClientRequest,
        dialect: "Dialect",
        upward: bytes,
        drains: bool,
        streaming: bool,
        now: float,
        task: "asyncio.Task[Any] | None" = None,
    ) -> None:
        """`task` is the current one, for those who know it."""
        self.exchange = exchange
        self.request = request
        self.dialect = dialect  # the client's
        self.upward = upward  # the client's header lines that go up
        self.drains = drains  # go on reading the upstream when the client leaves
        self.streaming = streaming  # the client asked for an event stream, not an array
        self.task = task or asyncio.current_task()
        self.started_at = now  # loop time
        self.gone_at = 0.0  # loop time at which the client was found gone; 0 = it is there
        self.cut: Cut | None = None
        self.answer: StreamAnswer | None = None
        self.tap: UsageTap | None = None
        self.early_head: StreamAnswer | None = None  # to be sent when the upstream stays silent
        self.last_write_at = now
        self.paused_since = 0.0

    @property
    def is_client_gone(self) -> bool:
        transport = self.request.transport
        return transport is None or transport.is_closing()

    def end(self, cut: Cut) -> None:
        """Wake the relay wherever it waits; it settles and answers. Only the first reason counts."""
        if self.cut is None and self.task is not None and not self.task.done():
            self.cut = cut
            self.task.cancel()

    def take_cut(self) -> Cut | None:
        """In the handler of a CancelledError: the reason if we cancelled it, None if somebody else did."""
        if self.cut is not None and self.task is not None:
            self.task.uncancel()
        return self.cut
