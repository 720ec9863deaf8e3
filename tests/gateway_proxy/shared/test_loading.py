"""A budget that is loaded while others go on settling is exact."""

import asyncio
import random

import pytest

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BudgetRule, Claim, LimitExceeded, Meter
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts

pytestmark = pytest.mark.slow

RULE = BudgetRule(10**9, BudgetPeriod.TOTAL, "UTC")


def nanos(amount: int) -> tuple[Claim, ...]:
    return (Claim("key", Meter.NANOS, RULE, amount),)


async def test_what_the_ledger_has_is_loaded_once(redis: RedisServer) -> None:
    store = FakeStore()
    store.rows["req_old", 1] = (("key",), 5, 700)
    async with running_parts(redis.url, store, 2) as parts:
        await asyncio.gather(
            *(part.limiter.acquire(nanos(1), ("key",), f"req_{n}~1") for n, part in enumerate(parts * 10))
        )
        spend = parts[0].view.budget("key", 10)
        assert spend is not None and spend.spent == 700
        assert sum(part.loader.loads for part in parts) <= 4


async def test_nothing_is_lost_or_counted_twice_while_others_settle(redis: RedisServer) -> None:
    store, generator, charged = FakeStore(), random.Random(4), 0

    async def exchange(part: Part, number: int) -> None:
        nonlocal charged
        for attempt in range(200):
            try:
                lease = await part.limiter.acquire(nanos(1000), ("key",), f"req_{number}~{attempt}")
                break
            except Exception:
                await asyncio.sleep(0.005)
        else:
            pytest.fail("never granted")
        await asyncio.sleep(generator.random() * 0.02)
        cost = generator.randrange(1001)
        charged += cost
        part.limiter.settle_nanos(lease, cost)
        await asyncio.sleep(generator.random() * 0.02)
        await part.write(lease, cost)

    async with running_parts(redis.url, store, 3) as parts:
        running = asyncio.gather(*(exchange(parts[n % 3], n) for n in range(300)))
        for _ in range(10):  # the counter is thrown away again and again
            await asyncio.sleep(0.01)
            parts[0].ending.invalidate("key", "key")
        await running
        for part in parts:
            await part.settled()
        assert charged == sum(row[2] for row in store.rows.values())
        assert await parts[1].budget("key", RULE) == (charged, 0)


async def test_a_ledger_that_cannot_be_read_leaves_the_budget_unknown(redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 1) as (part,):
        store.unknown.add("key")
        with pytest.raises(Exception, match="not loaded"):
            await part.limiter.acquire(nanos(1), ("key",), "req_1~1")
        store.unknown.clear()
        lease = await part.limiter.acquire(nanos(10**9), ("key",), "req_2~1")
        assert lease.money == {"key": 10**9}
        with pytest.raises(LimitExceeded):
            await part.limiter.acquire(nanos(1), ("key",), "req_3~1")
