"""What a process holds is on the server after it was handed over, once."""

import pytest

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BudgetRule, Claim, Meter, SlotsRule
from gateway_proxy.shared.adopting import adopt_leases
from gateway_proxy.shared.names import Names
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, running_parts

pytestmark = pytest.mark.slow

RULE = BudgetRule(10_000, BudgetPeriod.TOTAL, "UTC")
SLOT = Claim("key", Meter.PARALLEL, SlotsRule(2), 1)


async def test_all_of_it_is_told_and_its_budgets_are_counted_anew(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 1) as (part,):
        lease = await part.limiter.acquire((SLOT, Claim("key", Meter.NANOS, RULE, 700)), ("key",), "req_1~1")
        part.limiter.settle_nanos(
            await part.limiter.acquire((Claim("key", Meter.NANOS, RULE, 300),), ("key",), "req_2~1"), 20
        )
        await part.settled()
        names = part.server.names
        assert isinstance(names, Names)
        entries = redis.run("HGETALL", names.entries("key"))
        for _ in range(2):
            redis.run("DEL", names.entries("key"), names.slots("key", "key"))
            await adopt_leases(part.link, part.server, names, part.ending)
            assert redis.run("HGETALL", names.entries("key")) == entries
            assert redis.run("EXISTS", names.budget("key", "key")) == b":0\r\n"
            assert redis.run("HKEYS", names.slots("key", "key")).count(lease.name.encode()) == 1
            assert await part.budget("key", RULE) == (20, 700)
