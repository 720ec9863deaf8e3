"""The lifetime of what plugins made: sinks run while the settings name them, waiting stages are closed after use.

Which plugins are in force follows the runtime; making them belongs to `plugins.load`.
"""

import asyncio
import logging
from collections.abc import Callable

from gateway_proxy.app.sinks import SinkThread
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.tasks import spawn
from gateway_proxy.plugins.guard import AsyncGuard
from gateway_proxy.plugins.load import NO_PLUGINS, Plugins
from gateway_proxy.plugins.stage import AsyncStage

log = logging.getLogger("gateway_proxy.plugins")

# How long a request that began on former settings may take until its last stage has run.
RETIRED_SECONDS = 900
CLOSE_SECONDS = 5.0


class Extensions:
    """One per gateway. `tee` is what rows are also given to; None while there is no sink."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._plugins = NO_PLUGINS
        self._threads: dict[str, SinkThread] = {}
        self._retired: list[tuple[int, AsyncStage]] = []  # (when, in monotonic nanoseconds; the stage)

    def apply(self, plugins: Plugins) -> None:
        """Put them in force; the former ones end once nobody uses them."""
        if plugins is self._plugins:
            return
        before, self._plugins = self._plugins, plugins
        kept = {id(stage) for stage in _list_waiting(plugins)}
        now_ns = self._clock.monotonic_ns()
        self._retired += [(now_ns, stage) for stage in _list_waiting(before) if id(stage) not in kept]
        for name, thread in list(self._threads.items()):
            if plugins.sinks.get(name) is not thread.sink:
                del self._threads[name]
                spawn(thread.close(), "end a sink")
        for name, sink in plugins.sinks.items():
            if name not in self._threads:
                self._threads[name] = SinkThread(name, sink)

    @property
    def tee(self) -> Callable[[LogRow | LedgerRow], None] | None:
        threads = tuple(self._threads.values())
        if len(threads) <= 1:
            return threads[0].take if threads else None

        def take(row: LogRow | LedgerRow) -> None:
            for thread in threads:
                thread.take(row)

        return take

    async def tidy(self) -> None:
        """Close the waiting stages that no request can be using any more."""
        due_ns = self._clock.monotonic_ns() - RETIRED_SECONDS * 1_000_000_000
        while self._retired and self._retired[0][0] <= due_ns:
            await _close_stage(self._retired.pop(0)[1])

    async def close(self) -> None:
        """Once no request runs and the last row was given."""
        stages = [stage for _, stage in self._retired] + _list_waiting(self._plugins)
        self._retired.clear()
        threads = list(self._threads.values())
        self._threads.clear()
        self._plugins = NO_PLUGINS
        await asyncio.gather(*map(_close_stage, stages), *(thread.close() for thread in threads))


def _list_waiting(plugins: Plugins) -> list[AsyncStage]:
    return [guard.stage for _, guard in plugins.guards if isinstance(guard, AsyncGuard)]


async def _close_stage(stage: AsyncStage) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await stage.close()
    except Exception:
        log.exception("a stage failed when it was closed: %s", type(stage).__name__)
