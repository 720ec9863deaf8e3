"""What processes that are over held is forgotten, and nothing else."""

import pytest

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BudgetRule, Claim, Meter, SlotsRule
from gateway_proxy.shared.clearing import is_before
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts
from tests.support.waiting import until

pytestmark = pytest.mark.slow

RULE = BudgetRule(10_000, BudgetPeriod.TOTAL, "UTC")
SLOT = Claim("key", Meter.PARALLEL, SlotsRule(2), 1)


def nanos(amount: int) -> tuple[Claim, ...]:
    return (Claim("key", Meter.NANOS, RULE, amount),)


async def standing(part: Part) -> tuple[int, int]:
    return await part.budget("key", RULE)


@pytest.mark.parametrize(
    ("part", "own", "places", "is_over"),
    [
        ("gtw_1/0.a", "gtw_1/0.b", 1, True),
        ("gtw_1/0.b", "gtw_1/0.b", 1, False),
        ("gtw_2/0.a", "gtw_1/0.b", 1, False),
        ("gtw_1/1.a", "gtw_1/0.b", 2, False),
        ("gtw_1/2.a", "gtw_1/0.b", 2, True),  # the first place sees to those that there are no more
        ("gtw_1/2.a", "gtw_1/1.b", 2, False),
        ("gtw_1/?.a", "gtw_1/0.b", 1, False),
    ],
)
def test_which_processes_are_over(part: str, own: str, places: int, is_over: bool) -> None:
    assert is_before(part, own, places) is is_over


async def test_the_next_process_in_a_place_drops_what_the_one_before_left(redis: RedisServer) -> None:
    store = FakeStore()
    async with running_parts(redis.url, store, 2) as (one, dying):
        await dying.limiter.acquire((SLOT, *nanos(4000)), ("key",), "req_1~1")
        await dying.die()
        back = Part(redis.url, store, "gtw_1/0.b")
        await back.start()
        await until(lambda: not back.keeper._unclean)
        assert await standing(one) == (0, 0)
        await one.limiter.look((SLOT,), ("key",))
        assert one.view.slots("key") == 0
        await back.keeper.close()
        assert back.server.part not in store.parts
        await back.die()


async def test_processes_of_one_gateway_leave_each_other_alone_until_there_are_fewer(
    redis: RedisServer,
) -> None:
    store = FakeStore()
    parts = [Part(redis.url, store, f"gtw_0/{place}.a", places=3) for place in range(3)]
    for number, part in enumerate(parts):
        await part.start()
        await part.limiter.acquire(nanos(1000), ("key",), f"req_{number}~1")
    await until(lambda: not any(part.keeper._unclean for part in parts))
    assert await standing(parts[0]) == (0, 3000)
    for part in parts:
        await part.die()
    only = Part(redis.url, store, "gtw_0/0.b", places=2)
    await only.start(0.2)
    second = Part(redis.url, store, "gtw_0/1.b", places=2)
    await second.start()
    await until(lambda: not only.keeper._unclean and not second.keeper._unclean)
    assert await standing(only) == (0, 0)
    assert set(store.parts) == {"gtw_0/0.b", "gtw_0/1.b"}
    await only.die()
    await second.die()
