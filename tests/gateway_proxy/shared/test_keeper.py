"""A server that lost its counters forgives nothing, and heals by itself."""

import asyncio
from collections.abc import Callable

import pytest

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BudgetRule, Claim, CounterUnknown, LimitExceeded, Meter, SlotsRule
from gateway_proxy.shared import keeper as keeper_module
from tests.support.redis import RedisServer, run_redis
from tests.support.shared_limits import FakeStore, Part, running_parts
from tests.support.waiting import until

pytestmark = pytest.mark.slow

RULE = BudgetRule(10_000, BudgetPeriod.TOTAL, "UTC")
SLOT = Claim("key", Meter.PARALLEL, SlotsRule(2), 1)


def nanos(amount: int) -> tuple[Claim, ...]:
    return (Claim("key", Meter.NANOS, RULE, amount),)


async def standing(part: Part) -> tuple[int, int]:
    return await part.budget("key", RULE)


def all_ready(parts: list[Part], store: FakeStore, epochs: int) -> Callable[[], bool]:
    return lambda: (
        len(store.epochs) >= epochs
        and all(
            part.server.is_ready
            and part.server.names is not None
            and part.server.names.epoch == store.epochs[-1].id
            for part in parts
        )
    )


@pytest.mark.parametrize("fault", ["flush", "kill", "rollback"])
async def test_leases_and_charges_outlive_the_servers_memory(own_redis: RedisServer, fault: str) -> None:
    store = FakeStore()
    store.rows["req_old", 1] = (("key",), 5, 500)
    async with running_parts(own_redis.url, store, 3) as parts:
        open_lease = await parts[0].limiter.acquire(nanos(1000), ("key",), "req_0~1")
        if fault == "rollback":
            own_redis.run("SAVE")
        settled = await parts[1].limiter.acquire(nanos(2000), ("key",), "req_1~1")
        parts[1].limiter.settle_nanos(settled, 300)  # its row is not in the ledger yet
        await parts[1].settled()
        assert await standing(parts[2]) == (800, 1000)
        if fault == "flush":
            own_redis.run("FLUSHALL")
        else:
            own_redis.kill()
            await until(lambda: not any(part.link.is_usable for part in parts))
            with pytest.raises(CounterUnknown):
                await parts[2].limiter.acquire(nanos(1), ("key",), "req_9~1")
            own_redis.start()
        assert await until(all_ready(parts, store, 2)) < 2
        assert await standing(parts[2]) == (800, 1000)
        with pytest.raises(LimitExceeded):
            await parts[2].limiter.acquire(nanos(8201), ("key",), "req_2~1")
        parts[0].limiter.settle_nanos(open_lease, 10)
        await parts[0].settled()
        await parts[1].write(settled, 300)
        await parts[0].write(open_lease, 10)
        assert await standing(parts[2]) == (810, 0)


async def test_a_dead_gateway_holds_budgets_until_it_is_back_or_forgotten(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "DEAD_MS", 300)
    monkeypatch.setattr(keeper_module, "CLEAN_SECONDS", 0.1)
    monkeypatch.setattr(keeper_module, "BEAT_SECONDS", 0.1)
    store = FakeStore()
    async with running_parts(own_redis.url, store, 2) as (one, dying):
        await dying.limiter.acquire((SLOT, *nanos(4000)), ("key",), "req_1~1")
        await dying.limiter.acquire((SLOT, *nanos(0)), ("key",), "req_2~1")
        with pytest.raises(LimitExceeded):
            await one.limiter.acquire((SLOT,), ("key",), "req_3~1")
        await dying.die()
        await until(lambda: dying.server.part in one.limiter.dead)
        await one.limiter.acquire((SLOT,), ("key",), "req_4~1")  # its slots are free
        assert await standing(one) == (0, 4000)  # its money is not

        own_redis.run("FLUSHALL")
        await until(lambda: one.keeper.waiting_for == [dying.server.part])
        assert not one.server.is_ready
        await one.limiter.acquire((SLOT,), ("key",), "req_5~1")  # what is no money goes on, on the server
        with pytest.raises(CounterUnknown):
            await one.limiter.acquire(nanos(1), ("key",), "req_6~1")

        # It is back: its books were written before it joined.
        store.rows["req_1", 1] = (("key",), 5, 3000)
        back = Part(own_redis.url, store, "gtw_1/0.b")
        await back.start()
        await until(lambda: one.server.is_ready)
        assert await standing(one) == (3000, 0)

        # It dies for good, with money open.
        await back.limiter.acquire(nanos(1000), ("key",), "req_7~1")
        await back.die()
        await until(lambda: back.server.part in one.limiter.dead)
        assert await standing(one) == (3000, 1000)
        store.gateways.discard("gtw_1")
        await until(lambda: back.server.part not in one.limiter.dead)
        assert await standing(one) == (3000, 0)


async def test_two_servers_under_one_store_are_never_believed(redis: RedisServer) -> None:
    store = FakeStore()
    with run_redis() as second:
        one, two = Part(redis.url, store, "gtw_0/0.a"), Part(second.url, store, "gtw_1/0.a")
        await one.start()
        await two.start(0.5)
        await asyncio.sleep(1.5)
        assert not (one.server.is_ready and two.server.is_ready)
        await one.die()
        await two.die()


async def test_a_gateway_without_the_server_and_without_leases_is_not_waited_for(
    own_redis: RedisServer,
) -> None:
    store = FakeStore()
    async with running_parts(own_redis.url, store, 2) as (one, cut_off):
        cut_off.link.address = type(cut_off.link.address)("127.0.0.1", 1, "", 0, "", "", None)
        assert cut_off.link.connection is not None
        cut_off.link.connection.close()
        own_redis.run("FLUSHALL")
        await until(lambda: len(store.epochs) == 2 and one.server.is_ready)
        assert cut_off.keeper.mark is None  # it may not go on in the epoch before


async def test_a_grant_from_before_the_epoch_is_not_used_after_it(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 1) as (part,):
        await part.limiter.acquire(nanos(0), ("key",), "req_0~1")
        task = asyncio.ensure_future(part.limiter.acquire(nanos(1000), ("key",), "req_1~1"))
        await asyncio.sleep(0)
        names, part.server.names = part.server.names, type(part.server.names)("next")  # type: ignore[call-arg]
        with pytest.raises(CounterUnknown):
            await task
        part.server.names = names
        await part.settled()
        assert await standing(part) == (0, 0) and "gtw_0/0.a~req_1~1" not in part.ending.leases.held


async def test_budgets_that_are_loaded_go_on_while_the_store_is_away(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper_module, "BEAT_SECONDS", 0.02)
    store = FakeStore()
    async with running_parts(redis.url, store, 2) as parts:
        await parts[0].limiter.acquire(nanos(1), ("key",), "req_0~1")
        store.is_away = True
        await until(lambda: all("away" in part.keeper.error for part in parts))
        for number, part in enumerate(parts):
            lease = await part.limiter.acquire(nanos(1000), ("key",), f"req_{number}~2")
            part.limiter.settle_nanos(lease, 10)
            await part.settled()
        with pytest.raises(CounterUnknown):
            await parts[0].limiter.acquire((Claim("new", Meter.NANOS, RULE, 1),), ("new",), "req_5~1")
        assert all(part.server.is_ready for part in parts)
        store.is_away = False
        await until(lambda: not any(part.keeper.error for part in parts))
        assert await standing(parts[0]) == (20, 1)
    assert caplog.text.count("the store does not say") == 2  # once each, however often it was asked


async def test_what_the_server_refuses_for_good_is_told_once(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = FakeStore()
    async with running_parts(own_redis.url, store, 1) as (part,):
        own_redis.run("ACL", "SETUSER", "default", "resetkeys", "~other:*")
        own_redis.run("FLUSHALL")
        await until(lambda: caplog.text.count("NOPERM") >= 1)
        told = len(caplog.records)
        part.keeper._stir.set()
        await asyncio.sleep(0.3)
        assert len(caplog.records) == told
        assert "NOPERM" in part.keeper.error and len(store.epochs) <= 2
        own_redis.run("ACL", "SETUSER", "default", "~*")
        await until(lambda: part.server.is_ready)
        assert caplog.text.count("not in the state, of before") <= 1
