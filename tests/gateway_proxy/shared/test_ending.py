"""Ends of leases reach the server, once, whatever becomes of the connection."""

import asyncio

import pytest

from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import BucketRule, BudgetRule, Claim, Meter, SlotsRule
from tests.support.books import finish, make_row
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts
from tests.support.waiting import until

pytestmark = pytest.mark.slow

RULE = BudgetRule(10_000, BudgetPeriod.TOTAL, "UTC")
CLAIMS = (
    Claim("key", Meter.PARALLEL, SlotsRule(3), 1),
    Claim("key", Meter.TOKENS, BucketRule(600, 600), 100),
    Claim("key", Meter.NANOS, RULE, 1000),
)


async def standing(part: Part) -> tuple[int, int, int]:
    """Spent, reserved, slots; as the server has them."""
    spent, reserved = await part.budget("key", RULE)
    await part.limiter.look((CLAIMS[0],), ("key",))
    return spent, reserved, part.view.slots("key")


async def test_an_end_that_was_not_heard_is_told_again_and_counts_once(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 2) as (part, other):
        leases = [await part.limiter.acquire(CLAIMS, ("key",), f"req_{n}~1") for n in range(3)]
        assert await standing(other) == (0, 3000, 3)
        for number, lease in enumerate(leases):
            part.limiter.settle_nanos(lease, 10)
            part.limiter.release(lease, 50)
            await asyncio.sleep(0)
            if number == 1:
                assert part.link.connection is not None
                part.link.connection.close()  # two are under way, or not even that
        await part.settled()
        assert await standing(other) == (30, 0, 0)
        for lease in leases:
            await part.write(lease, 10)
        await part.settled()
        assert part.ending.is_idle
        assert redis.run("KEYS", "*:x") == b"*0\r\n"
        assert await standing(other) == (30, 0, 0)


async def test_what_nobody_waited_for_is_given_back(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 2) as (part, other):
        await part.limiter.look(CLAIMS, ("key",))
        tasks = [
            asyncio.ensure_future(part.limiter.acquire(CLAIMS, ("key",), f"req_{n}~1")) for n in range(3)
        ]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5):
            while await standing(other) != (0, 0, 0) or not part.ending.is_idle:
                await asyncio.sleep(0.005)
        await other.limiter.look(CLAIMS, ("key",))
        bucket = other.view.bucket(Meter.TOKENS, "key")
        assert bucket is not None and bucket.available(0) >= 599


async def test_a_budget_that_came_while_the_exchange_ran_sees_its_charge(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 2) as (part, other):
        lease = await part.limiter.acquire((CLAIMS[1],), ("tok", "key"), "req_1~1")
        part.view.watch(Key(id="key", name="A", organization="org", owner="local", budget_nanos=10_000))
        assert (await standing(other))[:2] == (0, 0)
        part.limiter.settle_nanos(lease, 70)
        await part.settled()
        assert (await standing(other))[:2] == (70, 0)
        await part.write(lease, 70)
        await part.settled()
        other.ending.invalidate("key", "key")
        assert (await standing(other))[:2] == (70, 0)


async def test_a_row_that_no_lease_told_of_has_the_budget_loaded_anew(redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 1) as (part,):
        assert (await standing(part))[:2] == (0, 0)
        lease = await part.limiter.acquire((), ("key",), "req_1~1")
        part.limiter.settle_nanos(lease, 90)  # the gateway has not heard of the budget
        part.view.watch(Key(id="key", name="A", organization="org", owner="local", budget_nanos=10_000))
        await part.write(lease, 90)
        assert (await standing(part))[:2] == (90, 0)


async def test_an_end_that_the_server_had_no_memory_for_is_told_again(own_redis: RedisServer) -> None:
    async with running_parts(own_redis.url, FakeStore(), 1) as (part,):
        lease = await part.limiter.acquire(CLAIMS, ("key",), "req_1~1")
        own_redis.run("CONFIG", "SET", "maxmemory", "1")
        part.limiter.settle_nanos(lease, 10)
        part.limiter.release(lease, 50)
        async with asyncio.timeout(10):
            while not part.ending._refused:
                await asyncio.sleep(0.01)
        own_redis.run("CONFIG", "SET", "maxmemory", "0")
        await part.settled(10)
        assert await standing(part) == (10, 0, 0)
        assert part.keeper.epochs == 1  # on the same connection, with the same counters


async def test_what_an_earlier_process_charged_without_a_lease_has_the_budget_loaded_anew(
    redis: RedisServer,
) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 2) as (part, other):
        assert (await standing(other))[:2] == (0, 0)
        part.view.watch(Key(id="key", name="A", organization="org", owner="local", budget_nanos=10_000))
        for number, reserved in ((1, 0), (2, 80)):
            store.rows[f"req_{number}", 1] = (("key",), 5, 80)
            row = make_row(number, key_id="key", reserved_nanos=reserved)
            part.ending.take_recovered([finish(row, 80)])
            await until(lambda: not part.ending._stale)
            # What was reserved is counted by its lease until that is dropped.
            assert (await standing(other))[:2] == (80, 0)
