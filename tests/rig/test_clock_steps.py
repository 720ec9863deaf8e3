"""Clocks that are set by an hour, at a gateway and at the server, and periods that end where gateways disagree about the time: no bucket
is filled, no budget forgives, no lease is lost."""

import asyncio
import random
import sys
import time
from datetime import datetime

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import (
    BucketRule,
    BudgetRule,
    Claim,
    CounterUnknown,
    LimitExceeded,
    Meter,
    SlotsRule,
)
from gateway_proxy.limits.periods import find_window
from gateway_proxy.shared import link
from gateway_proxy.shared.leases import SharedLease
from gateway_proxy.shared.scripts import Script
from tests.rig.skewed import skew_script
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts

pytestmark = pytest.mark.slow

HOUR = 3600
REQUEST = Claim("key", Meter.REQUESTS, BucketRule(60, 20), 1)
SLOT = Claim("key", Meter.PARALLEL, SlotsRule(3), 1)
NOON = f"Etc/GMT{time.gmtime().tm_hour - 12:+d}"  # where it is about noon now: an hour more or less is the same day
BUDGET = BudgetRule(10_000, BudgetPeriod.DAY, NOON)
MONEY = Claim("key", Meter.NANOS, BUDGET, 3000)


@pytest.fixture
def settable(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A server by whose clock the key `skew` is added, in seconds."""

    modules = [module for name, module in sys.modules.items() if name.startswith("gateway_proxy.shared.")]
    for module in modules:
        for name, value in list(vars(module).items()):
            if isinstance(value, Script):
                monkeypatch.setattr(module, name, skew_script(value))
    monkeypatch.setattr(link, "ALL", tuple(map(skew_script, link.ALL)))
    return redis


class SettableClock(Clock):
    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def grant(part: Part, most: int) -> int:
    """How many of so many requests are granted."""
    count = 0
    for _ in range(most):
        try:
            await part.limiter.acquire((REQUEST,), ("key",))
            count += 1
        except LimitExceeded:
            return count
    return count


async def until_ready(parts: list[Part]) -> None:
    async with asyncio.timeout(10):
        while not all(part.server.is_ready for part in parts):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["forward", "back"])
async def test_at_the_server(settable: RedisServer, seconds: int, caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore()
    async with running_parts(settable.url, store, 2) as parts:
        one, two = parts
        lease = await one.limiter.acquire((SLOT, MONEY), ("key",), "req_1~1")
        await two.limiter.acquire((SLOT, MONEY), ("key",), "req_2~1")
        began = time.monotonic()
        granted = await grant(one, 15)
        await two.limiter.look((REQUEST,), ("key",))
        settable.run("SET", "skew", str(seconds))
        granted += await grant(two, 100) + await grant(one, 100)
        async with asyncio.timeout(10):
            while not all(part.keeper.epochs > 1 for part in parts):
                await asyncio.sleep(0.005)
        await until_ready(parts)
        granted += await grant(one, 100) + await grant(two, 100)
        assert (
            20 <= granted <= 20 + (time.monotonic() - began) + 2
        )  # one a second, and what was granted apart
        assert await two.budget("key", BUDGET) == (0, 6000)
        await two.limiter.look((SLOT,), ("key",))
        assert two.view.slots("key") == 2
        with pytest.raises(LimitExceeded):
            await two.limiter.acquire((Claim("key", Meter.NANOS, BUDGET, 4001),), ("key",), "req_3~1")
        one.limiter.settle_nanos(lease, 1000)
        one.limiter.release(lease, None)
        await one.settled()
        assert await two.budget("key", BUDGET) == (1000, 3000)
        # Buckets go on filling, also by a clock that was set back.
        async with asyncio.timeout(10):
            while not await grant(two, 1):
                await asyncio.sleep(0.05)
        assert one.keeper.epochs == two.keeper.epochs == 2  # once is enough
    assert "was set" in caplog.text


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["forward", "back"])
async def test_at_a_gateway(redis: RedisServer, seconds: int) -> None:
    clock = SettableClock()
    async with running_parts(redis.url, FakeStore(), 1, clock) as (part,):
        lease = await part.limiter.acquire((SLOT, MONEY), ("key",), "req_1~1")
        began = time.monotonic()
        granted = await grant(part, 15)
        clock.ahead_ms = seconds * 1000
        assert abs(part.server.now_ms() - time.time() * 1000) < 2000
        granted += await grant(part, 100)
        assert 20 <= granted <= 20 + (time.monotonic() - began) + 1
        after = await part.limiter.acquire((SLOT, MONEY), ("key",), "req_2~1")
        assert after.period == lease.period and abs(after.admitted_at - lease.admitted_at) < 10_000
        assert await part.budget("key", BUDGET) == (0, 6000)
        with pytest.raises(LimitExceeded):
            await part.limiter.acquire((Claim("key", Meter.NANOS, BUDGET, 4001),), ("key",), "req_3~1")
        assert part.keeper.epochs == 1 and part.server.is_ready


async def test_a_server_that_was_only_slow_is_believed(own_redis: RedisServer) -> None:
    async with running_parts(own_redis.url, FakeStore(), 1) as (part,):
        own_redis.freeze()
        with pytest.raises((CounterUnknown, LimitExceeded)):
            part.limiter.decision_seconds = 0.05
            await part.limiter.acquire((MONEY,), ("key",), "req_1~1")
        await asyncio.sleep(2.5)
        own_redis.thaw()
        await until_ready([part])
        await part.settled()
        assert part.keeper.epochs <= 2 and len(part.store.epochs) == 1


ASKED, PAID = 100, 70
"""What each attempt of `spend` reserves, and what it costs."""
Leases = list[SharedLease]


async def spend(part: Part, rule: BudgetRule, until_ms: int, taken: Leases, late: Leases) -> int:
    """Attempts one after the other, each of which ends somewhat later; how many were refused before the end of the period."""
    chance, number, refused = random.Random(part.server.part), 0, 0
    claim = Claim("key", Meter.NANOS, rule, ASKED)

    async def finish(lease: SharedLease, *, outlasts: bool) -> None:
        await asyncio.sleep(chance.random() / 2)
        while outlasts and part.server.now_ms() < until_ms + 100:
            await asyncio.sleep(0.02)
        if lease.admitted_at < until_ms <= part.server.now_ms():
            late.append(lease)
        part.limiter.settle_nanos(lease, PAID)
        part.limiter.release(lease, None)
        await part.write(lease, PAID)

    async with asyncio.TaskGroup() as ending:
        while part.server.now_ms() < until_ms + 300:
            number += 1
            try:
                name = f"req_{part.server.part[:5]}_{number}~1"
                lease = await part.limiter.acquire((claim,), ("key",), name)
            except LimitExceeded:
                refused += part.server.now_ms() < until_ms
            else:
                taken.append(lease)
                ending.create_task(finish(lease, outlasts=number == 1))
            await asyncio.sleep(0.005)
    return refused


@pytest.mark.parametrize(
    ("period", "timezone", "ends_at"),
    [
        (BudgetPeriod.DAY, "America/New_York", "2026-11-02T05:00:00+00:00"),  # of 25 hours
        (BudgetPeriod.WEEK, "Europe/Berlin", "2026-03-29T22:00:00+00:00"),  # an hour short
    ],
)
async def test_a_period_ends_once_for_all(
    settable: RedisServer, period: BudgetPeriod, timezone: str, ends_at: str
) -> None:
    end_ms = int(datetime.fromisoformat(ends_at).timestamp() * 1000)
    settable.run("SET", "skew", str(end_ms // 1000 - int(time.time()) - 3))
    rule, store, parts = BudgetRule(10_000, period, timezone), FakeStore(), []
    for number, ahead_seconds in enumerate((0, 120, -120, 30)):
        clock = SettableClock()
        clock.ahead_ms = end_ms - int(time.time() * 1000) + ahead_seconds * 1000
        parts.append(Part(settable.url, store, f"gtw_{number}/0.a", clock))
    await asyncio.gather(*(part.start() for part in parts))
    taken: Leases = []
    late: Leases = []
    try:
        assert all(part.server.now_ms() < end_ms for part in parts)
        async with asyncio.timeout(20):
            refused = await asyncio.gather(*(spend(part, rule, end_ms, taken, late) for part in parts))
        for part in parts:
            await part.settled()
        former, later = (find_window(period, timezone, at) for at in (end_ms - 1, end_ms))
        assert former.end_ms == later.start_ms == end_ms
        # Whatever a gateway's own clock says, nobody is forgiven a moment too soon, and what ends late stays where it began.
        assert min(refused) > 0 and len(late) >= len(parts)
        for lease in taken:
            assert lease.period == (former if lease.admitted_at < end_ms else later).label
        charged = {
            window.label: PAID * sum(one.period == window.label for one in taken)
            for window in (former, later)
        }
        assert rule.limit_nanos / 2 < charged[former.label] <= rule.limit_nanos
        assert 0 < charged[later.label] <= rule.limit_nanos
        for part in parts:
            assert await part.budget("key", rule) == (charged[later.label], 0)
        for window in (former, later):
            rows = [
                nanos for _, at, nanos in store.rows.values() if window.start_ms <= at < (window.end_ms or 0)
            ]
            assert sum(rows) == charged[window.label]
    finally:
        for part in parts:
            await part.die()
