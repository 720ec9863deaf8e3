"""Without the store budgets are judged by counters that are those of before, and whole; any doubt refuses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

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
from gateway_proxy.core.store import CountersMark
from gateway_proxy.shared import keeper as keeper_module
from gateway_proxy.shared.leases import SharedLease
from gateway_proxy.shared.names import EPOCH, Names
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts
from tests.support.waiting import until

pytestmark = pytest.mark.slow

CAP = 10_000
RULE = BudgetRule(CAP, BudgetPeriod.TOTAL, "UTC")
SLOT = Claim("key", Meter.PARALLEL, SlotsRule(1), 1)
Damage = Callable[[RedisServer, CountersMark], CountersMark | None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "BEAT_SECONDS", 0.02)


async def take(part: Part, amount: int, name: str, key_id: str = "key") -> SharedLease:
    return await part.limiter.acquire((Claim(key_id, Meter.NANOS, RULE, amount),), (key_id,), name)


async def take_all(parts: list[Part]) -> int:
    """What these grant until the cap is reached, 300 at a time."""
    granted = 0
    while True:
        taken = [take(part, 300, f"req_all_{granted}_{n}~1") for n, part in enumerate(parts)]
        outcomes = await asyncio.gather(*taken, return_exceptions=True)
        granted += sum(300 for outcome in outcomes if isinstance(outcome, SharedLease))
        if all(isinstance(outcome, LimitExceeded) for outcome in outcomes):
            return granted


@contextlib.asynccontextmanager
async def going_on(redis: RedisServer, mark: CountersMark | None, instance: str = "b") -> AsyncIterator[Part]:
    """The next process in the place of gtw_0/0.a, while it cannot ask the store."""
    part = Part(redis.url, FakeStore(), f"gtw_0/0.{instance}")
    part.store.is_away = True
    try:
        await part.go_on(mark)
        yield part
    finally:
        await part.die()


async def die_while_open(part: Part) -> CountersMark:
    """With 1000 reserved, 500 charged that are not in the ledger, and a slot; returns the mark."""
    await part.limiter.acquire((SLOT, Claim("key", Meter.NANOS, RULE, 1000)), ("key",), "req_open~1")
    part.limiter.settle_nanos(await take(part, 2000, "req_settled~1"), 500)
    await part.settled()
    mark = part.keeper.mark
    assert mark is not None and mark.part == part.server.part
    await part.die()
    return mark


async def test_what_the_dead_had_reserved_counts_until_its_books_are_written(redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 2) as (first, other):
        mark = await die_while_open(first)
        async with going_on(redis, mark) as part:
            assert part.server.is_ready and part.keeper.mark is not None
            assert part.keeper.mark.part == first.server.part  # for whom the store waits
            with pytest.raises(CounterUnknown):  # the ledger would have to be asked
                await take(part, 1, "req_new~1", "new")
            lease = await part.limiter.acquire((SLOT,), ("key",))  # no process holds the other any more
            part.limiter.release(lease, None)
            granted = await take_all([part, other])
            assert CAP - 300 < granted + 1000 + 500 <= CAP
            assert await part.budget("key", RULE) == await other.budget("key", RULE)

            # The store answers, and does not have the books of the dead process yet.
            part.keeper._store = part.loader._store = store
            with pytest.raises(CounterUnknown):
                await take(part, 1, "req_new~1", "new")
            entries = Names(mark.epoch).entries("key")
            await asyncio.sleep(0.1)
            assert redis.run("HKEYS", entries).count(b"gtw_0/0.a~") == 2

            # The spool is replayed, the store is joined: now the ledger tells what became of it.
            store.rows["req_open", 1] = (("key",), part.server.now_ms(), 1000)
            store.rows["req_settled", 1] = (("key",), part.server.now_ms(), 500)
            await part.come_back()
            await until(lambda: b"gtw_0/0.a" not in redis.run("HKEYS", entries))
            assert await part.budget("key", RULE) == await other.budget("key", RULE) == (1500, granted)
            assert part.keeper.mark.part == part.server.part and len(store.epochs) == 1
            assert store.parts[part.server.part][2] == mark.epoch and first.server.part not in store.parts


async def test_one_that_went_on_may_die_too(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 1) as (first,):
        mark: CountersMark | None = await die_while_open(first)
        async with going_on(redis, mark, "b") as second:
            await take(second, 3000, "req_2~1")
            mark = second.keeper.mark
        async with going_on(redis, mark, "c") as third:
            assert await third.budget("key", RULE) == (500, 1000 + 3000)
            assert await take_all([third]) == 5400


def _restart(redis: RedisServer, mark: CountersMark) -> CountersMark:
    redis.run("SAVE")
    redis.kill()
    redis.start()
    return mark


def _command(*words: str) -> Damage:
    def damage(redis: RedisServer, mark: CountersMark) -> CountersMark:
        filled = [word.format(epoch=EPOCH, parts=Names(mark.epoch).parts, part=mark.part) for word in words]
        assert not redis.run(*filled).startswith(b"-")
        return mark

    return damage


def _evict(redis: RedisServer, mark: CountersMark) -> CountersMark:
    redis.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1gb")
    return mark


DOUBTS: dict[str, tuple[Damage, str]] = {
    "nothing was noted": (lambda redis, mark: None, ""),
    "emptied": (_command("FLUSHALL"), "another epoch, or none"),
    "made anew": (_command("HSET", "{epoch}", "id", "another"), "another epoch, or none"),
    "restarted": (_restart, "was restarted"),
    "set back": (_command("HSET", "{epoch}", "n", "1"), "gone back"),
    "let go": (_command("ZREM", "{parts}", "{part}"), "let go"),
    "never entered": (_command("HDEL", "{epoch}", "c:{part}"), "let go"),
    "may evict": (_evict, "thrown leases away"),
    "its clock was set": (
        lambda redis, mark: replace(mark, ahead_ms=mark.ahead_ms + 3000),
        "clock",
    ),
    "our clock was set": (
        lambda redis, mark: replace(mark, ahead_ms=mark.ahead_ms - 3000),
        "clock",
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_a_doubt_refuses(own_redis: RedisServer, doubt: str) -> None:
    damage, said = DOUBTS[doubt]
    async with running_parts(own_redis.url, FakeStore(), 1) as (first,):
        mark = damage(own_redis, await die_while_open(first))
        async with going_on(own_redis, mark) as part:
            with pytest.raises(CounterUnknown):
                await take(part, 1, "req_2~1")
            # Nor later, nor after another restart.
            await until(lambda: part.link.connection is not None)
            assert not part.server.is_ready and part.keeper.mark is None and said in part.keeper.error
            await asyncio.sleep(0.1)
            assert not part.server.is_ready
            other_limit = Claim("key", Meter.PARALLEL, SlotsRule(2), 1)
            await part.limiter.acquire((other_limit,), ("key",))


async def test_counters_that_are_lost_meanwhile_are_not_believed_again(own_redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(own_redis.url, store, 2) as (first, other):
        mark = await die_while_open(first)
        async with going_on(own_redis, mark) as part:
            told = asyncio.Event()
            part.keeper.on_mark = told.set
            await take(part, 3000, "req_2~1")
            own_redis.run("FLUSHALL")
            await until(lambda: not part.server.is_ready)
            assert part.keeper.mark is None and told.is_set()
            # The other has the store, and begins anew; but nobody judges budgets before this gateway is back.
            await until(lambda: len(store.epochs) == 2 and bool(other.keeper._handed_over == "e2"))
            for each in (part, other):
                with pytest.raises(CounterUnknown):
                    await take(each, 1, "req_3~1")
            store.rows["req_open", 1] = (("key",), part.server.now_ms(), 1000)
            store.rows["req_settled", 1] = (("key",), part.server.now_ms(), 500)
            part.keeper._store = store
            part.loader._store = store
            await part.come_back()
            await until(lambda: other.server.is_ready)
            assert await other.budget("key", RULE) == (1500, 3000)


async def test_rates_hold_over_all_gateways_though_budgets_are_not_judged(redis: RedisServer) -> None:
    rate = (Claim("key", Meter.REQUESTS, BucketRule(1, 4), 1),)
    store = FakeStore()
    async with running_parts(redis.url, store, 2) as (first, other):
        await die_while_open(first)
        async with going_on(redis, None) as part:
            await until(lambda: part.server.names is not None)
            for each in (other, part, other, part):
                await each.limiter.acquire(rate, ("key",))
            for each in (other, part):
                with pytest.raises(LimitExceeded):
                    await each.limiter.acquire(rate, ("key",))
            with pytest.raises(CounterUnknown):
                await take(part, 1, "req_2~1")
            assert part.keeper.gateways == 2  # the dead one is none of them
            # A new epoch: rates go by that one, and it waits for this gateway with budgets.
            redis.run("FLUSHALL")
            await until(lambda: other.server.names is not None and other.server.names.epoch == "e2")
            await until(lambda: part.server.names is not None and part.server.names.epoch == "e2")
            assert not other.server.is_ready and not part.server.is_ready
            store.rows["req_open", 1] = (("key",), part.server.now_ms(), 1000)
            store.rows["req_settled", 1] = (("key",), part.server.now_ms(), 500)
            part.keeper._store = part.loader._store = store
            await part.come_back()
            await until(lambda: other.server.is_ready)
            assert await part.budget("key", RULE) == (1500, 0)


async def test_a_server_that_went_back_while_nobody_was_connected_is_not_believed(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 1) as (first,):
        noted = await die_while_open(first)
        async with going_on(redis, noted) as part:
            assert part.link.connection is not None
            there = part.link.address
            part.link.address = type(there)("127.0.0.1", 1, "", 0, "", "", None)
            part.link.connection.close()
            await until(lambda: part.server.names is None)
            redis.run("HSET", EPOCH, "n", str(noted.number))  # less than was heard since
            part.link.address = there
            await until(lambda: "gone back" in part.keeper.error)
            assert not part.server.is_ready and part.keeper.mark is None


async def test_who_runs_goes_on_over_a_broken_connection(redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 2) as (part, other):
        lease = await take(part, 1000, "req_1~1")
        store.is_away = True
        await until(lambda: "away" in part.keeper.error)
        assert part.link.connection is not None
        part.link.connection.close()
        await asyncio.sleep(0)
        part.limiter.settle_nanos(lease, 400)
        await until(lambda: part.server.is_ready and not part.ending.leases.owed)
        assert await other.budget("key", RULE) == (400, 0)
        store.is_away = False
        await until(lambda: not part.keeper.error)
        assert len(store.epochs) == 1


async def test_who_leaves_may_not_go_on_and_who_cannot_may(redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 2) as (left, cut):
        noted: list[object] = []

        async def note() -> None:
            noted.append((left.keeper.mark, left.server.part in store.parts))

        left.keeper.on_renounce = cut.keeper.on_renounce = note
        assert left.server.names is not None
        parts = left.server.names.parts
        await left.keeper.close()
        assert noted == [(None, True)] and left.server.part not in store.parts
        assert left.server.part.encode() not in redis.run("ZRANGE", parts, "0", "-1")
        store.is_away = True
        with pytest.raises(ConnectionError):
            await cut.keeper.close()
        assert len(noted) == 1 and cut.keeper.mark is not None
        assert cut.server.part.encode() in redis.run("ZRANGE", parts, "0", "-1")


async def test_a_store_that_goes_away_again_while_it_is_joined_stops_nothing(redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 1) as (first,):
        mark = await die_while_open(first)
        async with going_on(redis, mark) as part:
            part.store.is_away = False
            await part.keeper.join()
            part.store.is_away = True
            await until(lambda: "away" in part.keeper.error)
            epochs = part.keeper.epochs
            beats = redis.run("ZSCORE", Names(mark.epoch).parts, part.server.part)
            await until(lambda: redis.run("ZSCORE", Names(mark.epoch).parts, part.server.part) != beats)
            assert part.server.is_ready and part.keeper.epochs == epochs
            assert await take_all([part]) == 8400
