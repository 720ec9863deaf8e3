"""Redis away in any way, under load from several gateways: limits hold, no decision waits, and all is well soon afterwards."""

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BucketRule, BudgetRule, Claim, CounterUnknown, LimitExceeded, Meter
from gateway_proxy.shared.leases import SharedLease
from gateway_proxy.shared.limiter import DECISION_SECONDS
from tests.rig.fault_proxy import FaultProxy
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts

pytestmark = pytest.mark.slow

GATEWAYS = 4
PER_SECOND, BURST = 50, 60
REQUEST = Claim("free", Meter.REQUESTS, BucketRule(60 * PER_SECOND, BURST), 1)
BUDGET = BudgetRule(10_000, BudgetPeriod.TOTAL, "UTC")
MONEY = Claim("paid", Meter.NANOS, BUDGET, 10)
Act = Callable[[FaultProxy, RedisServer], object]


def _refuse(proxy: FaultProxy, server: RedisServer) -> None:
    proxy.reset(refuse=True)


def _heal(proxy: FaultProxy, server: RedisServer) -> None:
    proxy.heal()


def _command(*words: str) -> Act:
    return lambda proxy, server: server.run(*words)


FAULTS: dict[str, tuple[Act, Act]] = {
    "dead": (lambda proxy, server: server.kill(), lambda proxy, server: server.start()),
    "refuses": (_refuse, _heal),
    "silent": (lambda proxy, server: proxy.blackhole(), _heal),
    "slow": (lambda proxy, server: proxy.delay(2.0), _heal),
    "frozen": (lambda proxy, server: server.freeze(), lambda proxy, server: server.thaw()),
    "readonly": (_command("REPLICAOF", "127.0.0.1", "1"), _command("REPLICAOF", "NO", "ONE")),
    "full": (_command("CONFIG", "SET", "maxmemory", "1"), _command("CONFIG", "SET", "maxmemory", "0")),
}


class Load:
    """Asks on every gateway, again and again; when what was granted, and how long each decision took."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.granted: list[float] = []
        self.asked: list[float] = []  # those of them that the server granted
        self.paid: list[tuple[Part, SharedLease]] = []
        self.waits: list[float] = []
        self.late = [0.0]  # of this machine by itself
        self._tasks = [asyncio.ensure_future(self._ask(part)) for part in parts]
        self._tasks.append(asyncio.ensure_future(self._look_at_the_clock()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, part: Part) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(0.005)
            began = time.monotonic()
            try:
                lease = await part.limiter.acquire((REQUEST,), ("free",))
                self.granted.append(time.monotonic())
                if lease.local is None:
                    self.asked.append(self.granted[-1])
            except LimitExceeded:
                pass
            self.waits.append(time.monotonic() - began)
            if number % 20:
                continue
            began = time.monotonic()
            try:
                lease = await part.limiter.acquire((MONEY,), ("paid",), f"req_{part.server.part}_{number}~1")
            except CounterUnknown:
                pass
            else:
                self.paid.append((part, lease))
                part.limiter.settle_nanos(lease, 7)
            self.waits.append(time.monotonic() - began)

    async def _look_at_the_clock(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.002)
            self.late.append(time.monotonic() - began - 0.002)

    def find_excess(self) -> float:
        """The most that was granted in any time beyond what the bucket gives in it."""
        worst, level, last = 0.0, float(BURST), self.granted[0]
        for at in self.granted:
            level = min(BURST, level + (at - last) * PER_SECOND) - 1
            last = at
            worst = max(worst, -level)
        return worst


@pytest.mark.parametrize("fault", FAULTS)
async def test_limits_hold_and_nobody_waits(own_redis: RedisServer, fault: str) -> None:
    begin, end = FAULTS[fault]
    with FaultProxy(str(own_redis.socket)) as proxy:
        async with running_parts(f"redis://127.0.0.1:{proxy.port}", FakeStore(), GATEWAYS) as parts:
            await parts[0].limiter.look((MONEY,), ("paid",))
            for part in parts:
                part.limiter.decision_seconds = DECISION_SECONDS
            load = Load(parts)
            async with asyncio.timeout(15):
                while len(load.paid) < GATEWAYS:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(begin, proxy, own_redis)
            away_at = time.monotonic()
            await asyncio.sleep(1.2)
            during = [at for at in load.granted if at > away_at]
            await asyncio.to_thread(end, proxy, own_redis)
            healed_at = time.monotonic()
            async with asyncio.timeout(15):  # five seconds on a machine that has nothing else to do
                while not all(part.server.is_ready and part.link.is_usable for part in parts):
                    await asyncio.sleep(0.005)
            back_at = time.monotonic()
            await asyncio.sleep(0.5)
            await load.stop()
            assert len(during) > PER_SECOND / 4  # of 1.2 s
            assert max(load.waits) < 0.05 + 2 * max(load.late), (max(load.waits), max(load.late))
            # A gateway that cannot ask begins with its part of what it last heard, a round trip and a beat ago. Those that
            # are back take from a bucket that has not heard yet of what the others granted by themselves.
            early = sum(healed_at <= at <= back_at for at in load.asked)
            most = 10 + early + PER_SECOND * max(load.late)
            assert load.find_excess() <= most, (load.find_excess(), early, max(load.late))
            for part in parts:
                part.limiter.decision_seconds = 2.0
            async with asyncio.timeout(
                15
            ):  # what was granted to those who were stopped is given back when the reply comes
                while await parts[1].budget("paid", BUDGET) != (7 * len(load.paid), 0):
                    await asyncio.sleep(0.01)
