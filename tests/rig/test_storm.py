"""A budget over a fleet whose counters are lost and whose gateway is killed in the midst of streams."""

import asyncio

import pytest

from tests.rig.cluster import Cluster
from tests.rig.storm import Act, Plan, run_storm
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

pytestmark = pytest.mark.slow


def test_the_budget_holds_whatever_dies(
    postgres: PostgresServer, own_redis: RedisServer, provider: FakeProvider
) -> None:
    url = asyncio.run(postgres.make_store())
    with Cluster(url, own_redis.url, provider, gateways=2) as cluster:
        victim = cluster.gateways[1]
        acts = [Act(1.0, own_redis.kill), Act(2.0, own_redis.start), Act(4.0, victim.kill)]
        plan = Plan(requests=90, funded=30, streams=16, tokens=24, delay_ms=50, deadline_seconds=40)
        verdict = run_storm(cluster, plan, acts, victim.start)
        # Both gateways saw the end of it, and one of them died.
        events = asyncio.run(
            cluster.fetch("SELECT COUNT(*) FROM outbox WHERE type = 'budget.exceeded' GROUP BY key_id")
        )
    assert verdict.holds, verdict
    assert events == [(1,)], events
    assert verdict.accepted >= plan.streams // 2 and verdict.outcomes["429 insufficient_quota"], verdict
