"""Several limiters on one server: never more than the limits, and no decision that waits. What every limiter keeps is in
tests/contracts/test_limiter.py."""

import asyncio
import random
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

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
from gateway_proxy.shared.leases import SharedLease
from gateway_proxy.shared.limiter import DECISION_SECONDS
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts

pytestmark = pytest.mark.slow

CAP = 10_000
RULE = BudgetRule(CAP, BudgetPeriod.TOTAL, "UTC")
SLOTS = Claim("key", Meter.PARALLEL, SlotsRule(5), 1)
REQUEST = Claim("key", Meter.REQUESTS, BucketRule(60, 20), 1)


def nanos(amount: int) -> Claim:
    return Claim("key", Meter.NANOS, RULE, amount)


class Schedule:
    """Acquires, settles, writes, kills and flushes at random; what may never be more than the cap is added up as it happens."""

    def __init__(self, parts: list[Part], store: FakeStore, seed: int) -> None:
        self.parts, self.store = parts, store
        self.random = random.Random(seed)
        self.open: list[tuple[Part, SharedLease]] = []
        self.unwritten: list[tuple[Part, SharedLease, int]] = []
        self.charged = 0
        self.number = 0
        self.granted = 0

    async def acquire(self) -> None:
        part, amount = self.random.choice(self.parts), self.random.randrange(1, CAP // 3)
        self.number += 1
        try:
            lease = await part.limiter.acquire((nanos(amount),), ("key",), f"req_{self.number}~1")
        except LimitExceeded as refused:
            reserved = sum(lease.money["key"] for _, lease in self.open)
            assert self.charged + reserved + amount > CAP, "a false refusal"
            assert refused.budget is not None and refused.budget.remaining_nanos < amount
            return
        except CounterUnknown:
            return
        self.granted += 1
        self.open.append((part, lease))
        assert self.charged + sum(lease.money["key"] for _, lease in self.open) <= CAP

    async def settle(self) -> None:
        if self.open:
            part, lease = self.open.pop(self.random.randrange(len(self.open)))
            cost = self.random.randrange(lease.money["key"] // 3 + 1)
            self.charged += cost
            part.limiter.settle_nanos(lease, cost)
            self.unwritten.append((part, lease, cost))
            await part.settled()

    async def write(self) -> None:
        if self.unwritten:
            part, lease, cost = self.unwritten.pop(self.random.randrange(len(self.unwritten)))
            await part.write(lease, cost)

    async def heal(self) -> None:
        async with asyncio.timeout(10):
            while not all(part.server.is_ready for part in self.parts):
                await asyncio.sleep(0.005)
        for part in self.parts:
            await part.settled()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=some.integers(0, 2**32))
@example(seed=606)  # the server is emptied last, and nobody has noticed it when the budget is looked at
def test_what_is_granted_never_exceeds_the_cap(redis_server: RedisServer, seed: int) -> None:
    async def work() -> None:
        redis_server.run("FLUSHALL")
        store = FakeStore()
        store.rows["req_old", 1] = (("key",), 5, 100)
        async with running_parts(redis_server.url, store, 3) as parts:
            schedule = Schedule(parts, store, seed)
            schedule.charged = 100
            for _ in range(120):
                move = schedule.random.random()
                if move < 0.5:
                    await schedule.acquire()
                elif move < 0.75:
                    await schedule.settle()
                elif move < 0.95:
                    await schedule.write()
                elif move < 0.97:
                    redis_server.run("FLUSHALL")
                    await asyncio.sleep(0)
                elif move < 0.985:
                    parts[0].ending.invalidate("key", "key")
                else:
                    connection = schedule.random.choice(parts).link.connection
                    if connection is not None:
                        connection.close()
                if move >= 0.95:
                    await schedule.heal()
            await schedule.heal()
            assert schedule.granted
            while schedule.open:
                await schedule.settle()
            while schedule.unwritten:
                await schedule.write()
            await schedule.heal()
            assert await parts[1].budget("key", RULE) == (schedule.charged, 0)
            assert schedule.charged == sum(row[2] for row in store.rows.values())

    asyncio.run(work())


async def test_many_at_once_on_several_gateways_get_what_there_is(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 4) as parts:
        await parts[0].limiter.look((nanos(0),), ("key",))
        claims = (SLOTS, REQUEST, nanos(3000))

        async def ask(number: int) -> SharedLease | None:
            try:
                return await parts[number % 4].limiter.acquire(claims, ("key",), f"req_{number}~1")
            except (LimitExceeded, CounterUnknown):  # the latter where this machine is too slow
                return None

        leases: list[SharedLease] = []
        for wave in range(10):
            answers = await asyncio.gather(*map(ask, range(wave * 30, wave * 30 + 30)))
            leases += [lease for lease in answers if lease is not None]
        assert len(leases) == 3
        await parts[3].limiter.look(claims, ("key",))
        bucket = parts[3].view.bucket(Meter.REQUESTS, "key")
        assert bucket is not None and bucket.available(0) == 17  # refusals took nothing
        assert parts[3].view.slots("key") == 3


async def test_no_decision_waits_for_a_frozen_server(own_redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(own_redis.url, store, 2) as parts:
        part = parts[0]
        part.limiter.decision_seconds = DECISION_SECONDS
        lease = await part.limiter.acquire((nanos(10),), ("key",), "req_0~1")
        late = [0.0]  # by how much this machine is late by itself

        async def watch() -> None:
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.002)
                late.append(time.monotonic() - began - 0.002)

        watching = asyncio.ensure_future(watch())
        own_redis.freeze()
        waits = []
        for number in range(1, 30):
            began = time.monotonic()
            if number % 2:
                with pytest.raises(CounterUnknown):
                    await part.limiter.acquire((nanos(1),), ("key",), f"req_{number}~1")
            else:
                granted = await part.limiter.acquire(
                    (Claim("other", Meter.REQUESTS, BucketRule(600, 600), 1),), ("other",)
                )
                assert granted.local is not None
                part.limiter.release(granted, 5)
            waits.append(time.monotonic() - began)
        watching.cancel()
        assert max(waits) < 0.05 + 2 * max(late)
        assert sorted(waits)[-2] < 0.005  # only the first one waited at all
        part.limiter.settle_nanos(lease, 4)
        own_redis.thaw()
        await part.settled()
        async with asyncio.timeout(5):
            while await parts[1].budget("key", RULE) != (4, 0):
                await asyncio.sleep(0.01)
        assert part.limiter.decisions.local and part.limiter.decisions.unverifiable


async def test_a_gateway_whose_clock_is_wrong_counts_into_the_same_period(redis: RedisServer) -> None:
    from gateway_proxy.core.clock import Clock

    class Skewed(Clock):
        def now_ms(self) -> int:
            return super().now_ms() + 40 * 86_400_000

    store = FakeStore()
    rule = BudgetRule(CAP, BudgetPeriod.MONTH, "UTC")
    right, wrong = Part(redis.url, store, "gtw_0/0.a"), Part(redis.url, store, "gtw_1/0.a", Skewed())
    for part in (right, wrong):
        await part.start()
    leases = [
        await part.limiter.acquire((Claim("key", Meter.NANOS, rule, 10),), ("key",), f"req_{n}~1")
        for n, part in enumerate((right, wrong))
    ]
    assert leases[0].period == leases[1].period
    assert abs(leases[0].admitted_at - leases[1].admitted_at) < 5000
    for part in (right, wrong):
        await part.die()


async def test_amounts_beyond_what_a_double_holds_are_exact(redis: RedisServer) -> None:
    rich = BudgetRule(9_000_000_000_000_000_001, BudgetPeriod.TOTAL, "UTC")
    async with running_parts(redis.url, FakeStore(), 1) as (part,):

        def claim(amount: int) -> tuple[Claim, ...]:
            return (Claim("key", Meter.NANOS, rich, amount),)

        await part.limiter.acquire(claim(9_000_000_000_000_000_000), ("key",), "req_1~1")
        with pytest.raises(LimitExceeded) as refused:
            await part.limiter.acquire(claim(2), ("key",), "req_2~1")
        assert refused.value.available == 1
        await part.limiter.acquire(claim(1), ("key",), "req_3~1")


async def test_a_rate_limit_holds_over_the_servers_loss_and_return(own_redis: RedisServer) -> None:
    claim = (Claim("key", Meter.REQUESTS, BucketRule(60, 60), 1),)

    async def grant(part: Part) -> int:
        count = 0
        while count < 200:
            try:
                await part.limiter.acquire(claim, ("key",))
            except LimitExceeded:
                break
            count += 1
        return count

    async with running_parts(own_redis.url, FakeStore(), 2) as (one, two):
        for _ in range(20):
            await one.limiter.acquire(claim, ("key",))
        await two.limiter.look(claim, ("key",))
        began = time.monotonic()
        own_redis.kill()
        while one.link.connection is not None or two.link.connection is not None:
            await asyncio.sleep(0.005)
        total = 20 + await grant(one) + await grant(two)
        own_redis.start()
        async with asyncio.timeout(5):
            while not (one.server.is_ready and two.server.is_ready):
                await asyncio.sleep(0.005)
        total += await grant(one) + await grant(two)
        passed = time.monotonic() - began
        assert 55 <= total <= 60 + passed + 3
