"""A gateway's part in counters that several gateways share: made of `gateway_proxy.shared`, the store and the settings."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from gateway_proxy.app.keeping import Keeping
from gateway_proxy.config import Config
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import Key
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.store import CountersMark, KeyRecord
from gateway_proxy.core.tasks import spawn
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.shared.address import parse_address
from gateway_proxy.shared.ending import Ending
from gateway_proxy.shared.keeper import LOAD_SECONDS, Keeper
from gateway_proxy.shared.limiter import SharedLimiter
from gateway_proxy.shared.link import Link
from gateway_proxy.shared.loading import Loader
from gateway_proxy.shared.server import Server
from gateway_proxy.shared.view import View
from gateway_proxy.stages.waiting import look_at_limits
from gateway_proxy.storage import Store
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.registry import Gateway
from gateway_proxy.telemetry.exposition import Samples

log = logging.getLogger("gateway_proxy.shared")

FIRST_WAIT_SECONDS = 2.0  # a start waits so long for the server, and then goes on without it
MOST_AT_START = 5000  # budgets that a start has loaded; the others are when they are first asked for
READY_SECONDS = 0.5  # a change of keys waits so long for their budgets


class SharedLimits:
    """Counters on a Redis or Valkey server, for all gateways of the store."""

    is_shared = True
    keeping: Keeping | None = None

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        """Raises ValueError for a URL that means nothing."""
        url = config.shared.redis_url
        assert url is not None
        self._store = store
        self.link = Link(parse_address(url.reveal()))
        self.server = Server(self.link, clock, "")
        self._view = View()
        self.ending = Ending(self.server, self._view, clock)
        self._loader = Loader(self.server, store.ledger)
        self.limiter = SharedLimiter(self.server, self._loader, self._view, self.ending, clock)
        self.take_written = self.ending.take_written
        self.take_recovered = self.ending.take_recovered
        self._budgets: dict[str, tuple[str, str]] = {}  # key id → period, time zone
        self._tasks: list[asyncio.Task[None]] = []

    async def refuse_company(self, others: Sequence[Gateway], own_id: str) -> None:
        """Raises StoreError beside a live gateway that does not share its counters."""
        sharing = await self._store.epochs.sharing()
        for other in others:
            if other.id not in sharing:
                raise StoreError(
                    f'another gateway ("{other.name}", {other.id}) is live on this store and does not share its '
                    "counters: give it the same shared.redis_url and start it again"
                )

    def begin(self, gateway_id: str, place: int, places: int) -> None:
        """Before the books are opened; `place` counts the processes of one gateway, of which there are `places`."""
        self.server.name_part(f"{gateway_id}/{place}.{secrets.token_hex(4)}")
        self.keeper = Keeper(
            self.link, self.server, self.limiter, self.ending, self._view, self._store.epochs, places
        )
        if self.keeping is not None:
            self.keeper.on_mark, self.keeper.on_renounce = self.keeping.touch, self.keeping.note

    @property
    def mark(self) -> CountersMark | None:
        """By what these counters can be gone on with while the store is away."""
        return self.keeper.mark

    async def resume(
        self, mark: CountersMark | None, records: Sequence[KeyRecord], on_events: Callable[[], None]
    ) -> None:
        """The store is away: go on with the counters of before, as long as nothing speaks against them. Until `open`
        budgets that the server does not hold are unknown."""
        self.ending.on_events = on_events
        self._loader.is_held = True
        for record in records:
            if record.key is not None:
                self._take(record.key)
        self.ending.knows_keys = True
        self.keeper.go_on(mark)
        await self._start()

    async def open(self, on_events: Callable[[], None]) -> None:
        """When the books of earlier processes are in the store. Without the server a gateway starts all the same."""
        self.ending.on_events = on_events
        await self.keeper.join()
        self._loader.is_held = False
        await self._start()

    async def _start(self) -> None:
        if not self._tasks:
            self._tasks = [
                spawn(self.link.run(), "shared counters: connection"),
                spawn(self.keeper.run(), "shared counters: epoch"),
            ]
        if not await self.keeper.wait_until_ready(FIRST_WAIT_SECONDS):
            log.warning(
                "the shared counters are not ready: keys with a budget are refused until they are, the other limits are"
                " divided among the gateways"
            )

    async def refresh(self, policy: KeyPolicy) -> None:
        """Hear how the limits of a key stand."""
        await look_at_limits(self.limiter, policy)

    async def prepare(self, records: Sequence[KeyRecord], writer: BooksWriter) -> None:
        """A budget that is new here, or of another period, is loaded anew: with what was charged before it was known."""
        changed = [key for record in records if (key := record.key) is not None and self._is_new(key)]
        if changed and self.ending.knows_keys:
            await writer.flush()
        for record in records:
            if record.key is None:
                self._budgets.pop(record.key_id, None)
                self.limiter.forget(record.key_id)
            else:
                self._take(record.key)
        if self.ending.knows_keys:
            for key in changed:
                self.ending.invalidate(key.parent_id or key.id, key.id)
        if self.ending.knows_keys:
            await self.limiter.ready(changed, READY_SECONDS)
        else:
            first = self.limiter.ready(changed[:MOST_AT_START], LOAD_SECONDS)
            spawn(first, "load shared budgets before they are asked for")
        self.ending.knows_keys = True

    def _take(self, key: Key) -> None:
        self._view.watch(key)
        if key.budget_nanos is None:
            self._budgets.pop(key.id, None)
        else:
            self._budgets[key.id] = (key.budget_period.value, key.budget_timezone)

    def _is_new(self, key: Key) -> bool:
        if key.budget_nanos is None:
            return key.id in self._budgets
        return self._budgets.get(key.id) != (key.budget_period.value, key.budget_timezone)

    def describe(self) -> dict[str, Any]:
        """For /readyz."""
        server, keeper, decisions = self.server, self.keeper, self.limiter.decisions
        if server.is_ready:
            state = "ready"
        else:
            state = "away" if self.link.connection is None else "gathering"
        return {
            "server": str(self.link.address),
            "version": self.link.server,
            "state": state,
            "error": self.link.error or keeper.error or None,
            "evicts": self.link.evicts or None,
            "epoch": None if server.names is None else server.names.epoch,
            "waiting_for": sorted({part.partition("/")[0] for part in keeper.waiting_for}),
            "gateways": keeper.gateways,
            "decisions": decisions.count,
            "decisions_local": decisions.local,
            "decisions_unverifiable": decisions.unverifiable,
            "owed": len(self.ending.leases.owed),
        }

    def sample(self) -> dict[str, Samples]:
        """For metrics, without the prefix of their names."""
        decisions = self.limiter.decisions
        return {
            "shared_counters_up": {(): int(self.server.is_ready and self.link.is_usable)},
            "shared_decision_seconds": {(): decisions.histogram()},
            "shared_degraded_decisions_total": {
                ("local",): decisions.local,
                ("unverifiable",): decisions.unverifiable,
            },
            "shared_epochs_total": {(): self.keeper.epochs},
        }

    async def close(self) -> None:
        """When the books are closed: what the server still has to hear, and no more."""
        try:
            await self.keeper.close()
        except StoreError as error:
            log.warning("the store does not take the leave: %s", error)
        for task in self._tasks:
            task.cancel()
