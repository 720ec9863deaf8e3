"""A budget over a fleet whose counters are lost and whose gateways are killed in the midst of streams, with a provider that keeps
to the rules and with one that lies. `./run soak fleet`, `fleet_books` and `fleet_kills` are the long forms."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.rig.cluster import Cluster
from tests.rig.storm import FAULTY, LIES, Act, Plan, run_storm
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer, run_redis

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """One that dies."""
    with run_redis() as server:
        yield server


@pytest.fixture(scope="module")
def cluster(postgres: PostgresServer, redis: RedisServer, provider: FakeProvider) -> Iterator[Cluster]:
    url = asyncio.run(postgres.make_store())
    with Cluster(url, redis.url, provider) as cluster:
        yield cluster


def test_the_budget_holds_whatever_dies(cluster: Cluster, redis: RedisServer) -> None:
    victim = cluster.gateways[1]
    acts = [Act(0.6, redis.kill), Act(1.2, redis.start), Act(2.5, victim.kill)]
    plan = Plan(requests=90, funded=30, streams=16, tokens=24, delay_ms=50, deadline_seconds=40)
    verdict = run_storm(cluster, plan, acts, victim.start)
    # Both gateways saw the end of it, and one of them died.
    events = asyncio.run(
        cluster.fetch("SELECT COUNT(*) FROM outbox WHERE type = 'budget.exceeded' GROUP BY key_id")
    )
    assert verdict.holds and verdict.error == 0, verdict
    assert events == [(1,)], events
    assert verdict.books.accepted >= plan.streams // 2 and verdict.outcomes["429 insufficient_quota"], verdict


def test_a_lying_provider_costs_no_more_than_it_lied_about_what_ran(
    cluster: Cluster, redis: RedisServer
) -> None:
    acts = [Act(0.5, redis.kill), Act(0.8, redis.start)]
    plan = Plan(requests=40, funded=20, streams=8, tokens=400, delay_ms=1, deadline_seconds=40, orders=LIES)
    verdict = run_storm(cluster, plan, acts)
    assert verdict.holds and verdict.error > 0, verdict
    assert verdict.outcomes["429 insufficient_quota"], verdict


def test_faults_and_clients_that_leave_are_booked_and_nobody_is_refused_too_early(
    cluster: Cluster, redis: RedisServer
) -> None:
    acts = [Act(0.5, redis.kill), Act(0.7, redis.start)]
    plan = Plan(
        requests=100, funded=60, streams=12, tokens=20, delay_ms=5, orders=FAULTY[90:], leaving=0.1, seed=3
    )
    verdict = run_storm(cluster, plan, acts)
    assert verdict.holds and verdict.books.unjust == 0, verdict
    assert verdict.outcomes["429 insufficient_quota"] and verdict.outcomes["left"], verdict
