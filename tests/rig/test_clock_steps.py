"""Clocks that are set by an hour, at a gateway and at the server: no bucket is filled, no budget forgives, no lease is lost."""

import asyncio
import time

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
from gateway_proxy.shared import forms, keeper, link, loading
from gateway_proxy.shared.scripts import Script
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts

pytestmark = pytest.mark.slow

HOUR = 3600
REQUEST = Claim("key", Meter.REQUESTS, BucketRule(60, 20), 1)
SLOT = Claim("key", Meter.PARALLEL, SlotsRule(3), 1)
BUDGET = BudgetRule(10_000, BudgetPeriod.DAY, "UTC")
MONEY = Claim("key", Meter.NANOS, BUDGET, 3000)
_TIME = b"redis.call('TIME')"
_SKEWED = (
    b"(function() local t = redis.call('TIME') return {t[1] + (redis.call('GET', 'skew') or 0), t[2]} end)()"
)


@pytest.fixture
def settable(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A server by whose clock the key `skew` is added, in seconds."""

    def skew(script: Script) -> Script:
        return Script.of(script.name, script.text.replace(_TIME, _SKEWED))

    for module in (forms, keeper, link, loading):
        for name, value in list(vars(module).items()):
            if isinstance(value, Script):
                monkeypatch.setattr(module, name, skew(value))
    monkeypatch.setattr(link, "ALL", tuple(map(skew, link.ALL)))
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
