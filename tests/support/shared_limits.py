"""Limiters over a real server without gateways: a ledger and epochs in memory stand for the store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow
from gateway_proxy.core.limiter import BudgetRule, Claim, Meter, budget_rule
from gateway_proxy.core.store import CountersMark, Spending
from gateway_proxy.core.tasks import spawn
from gateway_proxy.shared.address import parse_address
from gateway_proxy.shared.ending import Ending
from gateway_proxy.shared.keeper import Keeper
from gateway_proxy.shared.leases import SharedLease
from gateway_proxy.shared.limiter import SharedLimiter
from gateway_proxy.shared.link import Link
from gateway_proxy.shared.loading import Loader
from gateway_proxy.shared.names import split_lease
from gateway_proxy.shared.server import Server
from gateway_proxy.shared.view import View


@dataclass(frozen=True)
class FakeEpoch:
    id: str
    run_id: str
    is_ready: bool


class FakeStore:
    """Epochs as storage.epochs keeps them, and a ledger that is a list of (key ids, name, admitted at, nano-USD)."""

    def __init__(self) -> None:
        self.epochs: list[FakeEpoch] = []
        self.parts: dict[str, tuple[str, int, str]] = {}  # part → gateway, place, epoch
        self.gateways: set[str] = set()
        self.rows: dict[tuple[str, int], tuple[tuple[str, ...], int, int]] = {}
        self.unknown: set[str] = set()  # keys that cannot be summed up
        self.is_away = False
        self.turn = asyncio.Lock()

    def _come(self) -> None:
        if self.is_away:
            raise ConnectionError("the store is away")

    async def newest(self) -> FakeEpoch | None:
        self._come()
        return self.epochs[-1] if self.epochs else None

    async def renew(self, lost: str, run_id: str, begin: Callable[[str], Awaitable[None]]) -> FakeEpoch:
        self._come()
        async with self.turn:
            if self.epochs and self.epochs[-1].id != lost:
                return self.epochs[-1]
            epoch = FakeEpoch(f"e{len(self.epochs) + 1}", run_id, False)
            await begin(epoch.id)
            self.epochs.append(epoch)
            return epoch

    async def join(self, part: str, gateway_id: str, place: int, places: int) -> None:
        self._come()
        for other, (gateway, at, _) in list(self.parts.items()):
            if gateway == gateway_id and (at == place or (place == 0 and at >= places)):
                del self.parts[other]
        self.gateways.add(gateway_id)
        self.parts[part] = (gateway_id, place, "")

    async def hand_over(self, part: str, gateway_id: str, place: int, epoch: str) -> list[str]:
        self._come()
        self.parts[part] = (gateway_id, place, epoch)
        missing = [
            p for p, (gateway, _, at) in self.parts.items() if at != epoch and gateway in self.gateways
        ]
        if not missing and self.epochs[-1].id == epoch:
            self.epochs[-1] = replace(self.epochs[-1], is_ready=True)
        return missing

    async def leave(self, part: str) -> None:
        self.parts.pop(part, None)

    async def known_gateways(self) -> set[str]:
        self._come()
        return set(self.gateways)

    async def sum_spending(
        self, plan: Callable[[], Awaitable[Sequence[Spending]]], take: Callable[[list[int]], Awaitable[None]]
    ) -> None:
        self._come()
        async with self.turn:
            wanted = await plan()
            if any(one.key_id in self.unknown for one in wanted):
                raise ConnectionError("the ledger cannot be read")
            sums = [
                sum(
                    nanos
                    for name, (key_ids, at, nanos) in self.rows.items()
                    if one.key_id in key_ids and one.start_ms <= at < one.end_ms and name not in one.without
                )
                for one in wanted
            ]
            await take(sums)


class Part:
    """One process's limiter."""

    def __init__(
        self,
        url: str,
        store: FakeStore,
        name: str,
        clock: Clock | None = None,
        *,
        server_time: bool = True,
        places: int = 1,
    ) -> None:
        clock = clock or Clock()
        self.store = store
        self.link = Link(parse_address(url))
        self.server = Server(self.link, clock, name, server_time=server_time)
        self.view = View()
        self.ending = Ending(self.server, self.view, clock)
        self.loader = Loader(self.server, store)
        self.limiter = SharedLimiter(self.server, self.loader, self.view, self.ending, clock)
        self.limiter.decision_seconds = 2.0  # this machine may be busy with other tests
        self.keeper = Keeper(self.link, self.server, self.limiter, self.ending, self.view, store, places)
        self.ending.knows_keys = True
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, timeout_seconds: float = 10.0) -> None:
        await self.keeper.join()
        await self._run(timeout_seconds)

    async def go_on(self, mark: CountersMark | None, timeout_seconds: float = 10.0) -> None:
        """Start without asking the store."""
        self.loader.is_held = True
        self.keeper.go_on(mark)
        await self._run(timeout_seconds)

    async def come_back(self, timeout_seconds: float = 10.0) -> None:
        """The store is asked again, and has the rows of earlier processes."""
        await self.keeper.join()
        self.loader.is_held = False
        await self.keeper.wait_until_ready(timeout_seconds)

    async def _run(self, timeout_seconds: float) -> None:
        self._tasks = [spawn(self.link.run(), "link"), spawn(self.keeper.run(), "keeper")]
        await self.keeper.wait_until_ready(timeout_seconds)

    async def write(self, lease: SharedLease, nanos: int) -> None:
        """As the books do it, somewhat later than the charge."""
        found = split_lease(lease.name)
        assert found is not None
        _, request_id, attempt = found
        async with self.store.turn:
            self.store.rows[request_id, attempt] = (lease.key_ids, lease.admitted_at, nanos)
        parent = lease.key_ids[1] if len(lease.key_ids) > 1 else None
        row: Any = LedgerRow(
            request_id, attempt, "gtw", "org", lease.key_ids[0], "p", "m", "m", "chat", lease.admitted_at,
            parent_id=parent, charged_nanos=nanos,
        )  # fmt: skip
        self.ending.take_written([row])

    async def settled(self, timeout_seconds: float = 5.0) -> None:
        """Until the server has heard all."""
        ends = asyncio.get_running_loop().time() + timeout_seconds
        while self.ending.leases.owed or self.ending.leases.leaving or self.ending._due:
            assert asyncio.get_running_loop().time() < ends, "the server does not confirm"
            await asyncio.sleep(0.002)

    async def budget(self, key_id: str, rule: BudgetRule) -> tuple[int, int]:
        """What is spent and reserved, as the server has it now."""
        ends = asyncio.get_running_loop().time() + 5
        self.view.unlearn(key_id)
        while (spend := self.view.budget(key_id, self.server.now_ms())) is None:
            assert asyncio.get_running_loop().time() < ends, "the budget is not told of"
            await self.limiter.look((Claim(key_id, Meter.NANOS, rule, 0),), (key_id,))
            await asyncio.sleep(0)  # a look at a server that is away gives nobody else a turn
        return spend.spent, spend.reserved

    async def die(self) -> None:
        """As a process that is killed: nothing more is said."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.server.leave()


@contextlib.asynccontextmanager
async def running_parts(
    url: str, store: FakeStore, count: int, clock: Clock | None = None
) -> AsyncIterator[list[Part]]:
    """So many gateways' limiters, all ready."""
    parts = [Part(url, store, f"gtw_{n}/0.a", clock) for n in range(count)]
    await asyncio.gather(*(part.start() for part in parts))
    try:
        yield parts
    finally:
        for part in parts:
            await part.die()


class BlockingLimiter:
    """A shared limiter as a plain one, for the tests that hold all of them to the same rules."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._runner = asyncio.Runner()
        self._runner.get_loop()
        self.store = self._run(self._make_store())
        self._part = self._run(self._start(url, clock))

    async def _make_store(self) -> FakeStore:
        return FakeStore()

    async def _start(self, url: str, clock: Clock) -> Part:
        part = Part(url, self.store, "gtw_test/0.a", clock, server_time=False)
        await part.start()
        return part

    def _run(self, work: Any) -> Any:
        return self._runner.run(work)

    def acquire(self, claims: Any, key_ids: tuple[str, ...] = ()) -> Any:
        # All counters of one exchange belong to one root key; these tests have one.
        return self._run(self._part.limiter.acquire(claims, key_ids or ("key_a",)))

    def probe(self, claim: Any, *, announce: bool = False, root: str = "key_a") -> Any:
        self._look(claim, root)
        return self._part.limiter.probe(claim, announce=announce)

    def settle_nanos(self, lease: Any, charged: int) -> None:
        self._finish(self._part.limiter.settle_nanos, lease, charged)

    def release(self, lease: Any, used: int | None) -> None:
        self._finish(self._part.limiter.release, lease, used)

    def budget_state(self, key: Any) -> Any:
        rule = budget_rule(key)
        if rule is not None:
            self._look(Claim(key.id, Meter.NANOS, rule, 0))
        return self._part.limiter.budget_state(key)

    def bucket_state(self, key_id: str, meter: Any, rule: Any) -> Any:
        self._look(Claim(key_id, meter, rule, 0))
        return self._part.limiter.bucket_state(key_id, meter, rule)

    def _look(self, claim: Any, root: str = "key_a") -> None:
        self._run(self._part.limiter.look((claim,), (root,)))

    def _finish(self, method: Callable[..., None], *arguments: Any) -> None:
        async def work() -> None:
            method(*arguments)
            await self._part.settled()

        self._run(work())

    def close(self) -> None:
        self._run(self._part.die())
        self._runner.close()
