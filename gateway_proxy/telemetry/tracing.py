"""OpenTelemetry traces: a span for each exchange, made by hand when it has ended and sent by the SDK's own thread.

Needs the extra `otel`, and imports nothing of it while it is off: then a request pays for two comparisons.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.tasks import spawn
from gateway_proxy.telemetry.spans import Finished, Server, make_span, take

if TYPE_CHECKING:
    from gateway_proxy.config.model import Telemetry
    from gateway_proxy.telemetry.otlp import Pipe

log = logging.getLogger("gateway_proxy.tracing")

INTERVAL_SECONDS = 0.25
MAX_WAITING = 10_000
CLOSE_SECONDS = 3.0


class Hooks(NamedTuple):
    """What the data plane calls: when an exchange begins, and when it has ended; None while traces are off."""

    begin: Callable[[Exchange], None] | None
    end: Callable[[Exchange, int], None] | None


class Tracing:
    """`find_server` knows where a provider is, by its name."""

    def __init__(self, find_server: Callable[[str], Server | None], gateway_id: str) -> None:
        self._find_server = find_server
        self._gateway_id = gateway_id
        self._settings: Telemetry | None = None
        self._pipe: Pipe | None = None
        self._waiting: deque[Finished] = deque()
        self.dropped = 0

    @property
    def hooks(self) -> Hooks:
        return Hooks(None, None) if self._pipe is None else Hooks(self._begin, self._end)

    async def configure(self, settings: "Telemetry") -> None:
        """Raises ValueError, and changes nothing, where the SDK does not take the settings."""
        if settings == self._settings:
            return
        pipe = await asyncio.to_thread(_open, settings, self._gateway_id) if settings.traces else None
        before, self._pipe, self._settings = self._pipe, pipe, settings
        if before is not None:
            spawn(_close(before), "send the last spans")

    async def run(self) -> None:
        """Hands spans on until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self._hand_on()

    async def close(self) -> None:
        """Send what is left, as far as the receiver takes it in three seconds."""
        self._hand_on()
        if self._pipe is not None:
            await _close(self._pipe)
            self._pipe = None

    def _begin(self, exchange: Exchange) -> None:
        """Decide whether this trace is sampled, and say so to the provider too."""
        if self._pipe is None:
            return
        flags = int(exchange.trace_flags, 16)
        is_sampled = self._pipe.is_sampled(exchange.trace_id, exchange.parent_span, flags, exchange.operation)
        exchange.trace_flags = f"{flags | 1 if is_sampled else flags & 0xFE:02x}"

    def _end(self, exchange: Exchange, now_ns: int) -> None:
        if not exchange.operation or not int(exchange.trace_flags, 16) & 1:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(take(exchange, now_ns))

    def _hand_on(self) -> None:
        while self._waiting:
            finished = self._waiting.popleft()
            if self._pipe is not None:
                self._pipe.emit(make_span(finished, self._find_server(finished.provider)))


def _open(settings: "Telemetry", gateway_id: str) -> "Pipe":
    from gateway_proxy.telemetry.otlp import Pipe

    return Pipe(settings, gateway_id)


async def _close(pipe: "Pipe") -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    def shut_down() -> None:
        pipe.shut_down()
        with contextlib.suppress(RuntimeError):  # the loop did not wait
            loop.call_soon_threadsafe(tell)

    # A daemon of its own, not the loop's pool: a receiver that hangs must not keep the process from ending.
    threading.Thread(target=shut_down, name="send the last spans", daemon=True).start()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await ended
    except TimeoutError:
        log.warning("the last spans could not be sent in time")
