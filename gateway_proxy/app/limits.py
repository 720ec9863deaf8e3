"""Where a gateway's counters are: in its own memory, or on a server that it shares with others.

Both make the budgets of changed keys ready before their new policy is used. What a plain gateway does for a request is the
same code with and without the other one: which it is is decided here, at the start.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gateway_proxy.app.keeping import Keeping
from gateway_proxy.config import Config
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.store import CountersMark, KeyRecord
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.limits.budget import Rebuild
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.storage import Store
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.maintenance import clear_reserved
from gateway_proxy.storage.registry import Gateway
from gateway_proxy.telemetry.exposition import Samples

if TYPE_CHECKING:
    from gateway_proxy.app.shared_limits import SharedLimits


class OwnLimits:
    """Counters of this gateway alone."""

    is_shared = False
    take_written: Callable[[Sequence[LedgerRow]], None] | None = None
    take_recovered: Callable[[Sequence[LedgerRow]], None] | None = None
    refresh: Callable[[KeyPolicy], Any] | None = None
    mark: CountersMark | None = None  # see SharedLimits
    keeping: Keeping | None = None

    def __init__(self, store: Store, clock: Clock) -> None:
        self.limiter = MemoryLimiter(clock)
        self._store = store

    async def refuse_company(self, others: Sequence[Gateway], own_id: str) -> None:
        """Raises StoreError beside another live gateway on the store: two would each grant the whole limit. One that shares
        counters may go on with them while it is cut off from the store."""
        for other in others:
            raise StoreError(
                f'another gateway ("{other.name}", {other.id}) is live on this store; several gateways on one store '
                'need storage.url = "postgresql://…" and the same shared.redis_url in the settings of each: set it, stop '
                "the other one, or give this one its own store"
            )
        for gateway_id in sorted(await self._store.epochs.holding() - {own_id}):
            raise StoreError(
                f"the gateway {gateway_id} shares its counters, and may go on with them though it was not heard of: start it and "
                f"stop it in order, or let it go by `gateway-proxy gateways forget {gateway_id}`"
            )

    def begin(self, gateway_id: str, place: int, places: int) -> None:
        """Before the books are opened; `place` counts the processes of one gateway."""

    async def resume(
        self, mark: CountersMark | None, records: Sequence[KeyRecord], on_events: Callable[[], None]
    ) -> None:
        """The store is away: budgets are unknown until `open`."""

    async def open(self, on_events: Callable[[], None]) -> None:
        """When the books of earlier processes are in the store. `on_events`: budget events wait to be taken."""
        if self.keeping is not None:
            await self.keeping.restart()  # no mark of shared counters may outlive this
        await self._store.epochs.abandon()  # shared counters do not see what is charged here
        await clear_reserved(self._store.db)

    async def prepare(self, records: Sequence[KeyRecord], writer: BooksWriter) -> None:
        """Make the counters of these keys ready for their new revision. Raises StoreError."""
        keys = [record.key for record in records if record.key is not None]
        missing = [key for key in keys if self.limiter.needs_rebuild(key)]
        jobs: list[Rebuild] = []

        def plan() -> list[tuple[str, int, int]]:
            jobs[:] = self.limiter.begin_rebuilds(missing)
            return [job.window for job in jobs]

        if missing:
            sums = await writer.flush_and_sum(plan)
            for job, nanos in zip(jobs, sums, strict=True):
                self.limiter.finish_rebuild(job, nanos)
        for key in keys:
            self.limiter.update(key)
        for record in records:
            if record.key is None:
                self.limiter.forget(record.key_id)

    def describe(self) -> dict[str, Any] | None:
        """For /readyz."""
        return None

    def sample(self) -> dict[str, Samples]:
        """For metrics, without the prefix of their names."""
        return {}

    async def close(self) -> None:
        """When the books are closed."""


def make_limits(config: Config, store: Store, clock: Clock) -> "OwnLimits | SharedLimits":
    """Shared ones need a store that gateways can share. Raises ValueError."""
    if config.shared.redis_url is not None and config.storage.sqlite_path is None:
        from gateway_proxy.app.shared_limits import SharedLimits  # nobody else needs the client

        return SharedLimits(config, store, clock)
    return OwnLimits(store, clock)
