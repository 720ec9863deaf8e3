"""A budget over four gateways while Redis is lost and one of them is killed: the provider's books judge.

200 streams of one key whose budget pays 500 of 2,000 requests; Redis is killed after 10 s and comes back empty after 20 s,
a gateway is killed after 25 s. Then the same with a provider that makes more than it was allowed to and says of its usage what
cannot be. Its short form is a test of the rig.
"""

import asyncio
import dataclasses

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.storm import LIES, Act, Plan, Verdict, run_storm
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import RedisServer, run_redis

GATEWAYS = 4
SEEDS = 3
PLAN = Plan(requests=2000, funded=500, streams=200, tokens=60, delay_ms=200, deadline_seconds=240)
SHORT_PLAN = Plan(requests=200, funded=50, streams=24, tokens=24, delay_ms=80, deadline_seconds=60)


def run(short: bool) -> list[Figure]:
    """The long form takes about a quarter of an hour."""
    plan = SHORT_PLAN if short else PLAN
    # As long as the others, and of enough tokens that those beyond the limit are more than the bound's own room.
    lying = dataclasses.replace(plan, orders=LIES, tokens=400, delay_ms=plan.delay_ms * plan.tokens // 400)
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            seeds = range(1 if short else SEEDS)
            verdicts = [_run_once(cluster, redis, plan, seed, short=short) for seed in seeds]
            lied = [_run_once(cluster, redis, lying, seed, short=short) for seed in seeds]
    head = f"{len(verdicts)} storms, {plan.streams} streams, {plan.funded} of {plan.requests:,} requests paid"
    return _judge(f"{head}: ", verdicts) + _judge_lies(f"{head}, lying provider: ", lied)


def _run_once(cluster: Cluster, redis: RedisServer, plan: Plan, seed: int, *, short: bool) -> Verdict:
    victim = cluster.gateways[1 + seed % (GATEWAYS - 1)]
    scale = 0.1 if short else 1.0
    acts = [Act(10 * scale, redis.kill), Act(20 * scale, redis.start), Act(25 * scale, victim.kill)]
    verdict = run_storm(cluster, dataclasses.replace(plan, seed=seed), acts, victim.start)
    print(
        f"     {dataclasses.replace(verdict, books=dataclasses.replace(verdict.books, over=()))}", flush=True
    )
    return verdict


def _judge(name: str, verdicts: list[Verdict]) -> list[Figure]:
    books = [verdict.books for verdict in verdicts]
    return [
        _count(name + "storms in which provider's books ≤ ours ≤ budget does not hold", "storms",
               sum(not (verdict.holds and verdict.error == 0) for verdict in verdicts)),
        _count(name + "charged above the budget", "nano-USD", sum(max(0, v.books.charged - v.cap) for v in verdicts)),
        _count(name + "billed by the provider and not charged", "nano-USD",
               sum(max(0, one.billed - one.charged) for one in books)),
        _count(name + "counters apart from the ledger when quiet", "nano-USD",
               sum(abs(v.spent - v.books.charged) + v.reserved for v in verdicts)),
        Figure(name + "accepted by the provider", None, sum(one.accepted for one in books), "requests", passed=True),
        Figure(name + "share of the budget that was charged, least", None,
               round(min(100 * v.books.charged / v.cap for v in verdicts), 1), "%", passed=True),
    ]  # fmt: skip


def _judge_lies(name: str, verdicts: list[Verdict]) -> list[Figure]:
    return [
        _count(name + "storms in which books or bounds do not hold", "storms", sum(not v.holds for v in verdicts)),
        _count(name + "charged above the budget and what ran at once was beyond its reservation", "nano-USD",
               sum(max(0, v.books.charged - v.cap - v.error) for v in verdicts)),
        Figure(name + "the most that one request was beyond its reservation", None,
               max(v.books.over[0] for v in verdicts), "nano-USD", passed=all(v.error for v in verdicts)),
        Figure(name + "charged above the budget, most", None,
               max(max(0, v.books.charged - v.cap) for v in verdicts), "nano-USD", passed=True),
    ]  # fmt: skip


def _count(name: str, unit: str, measured: int) -> Figure:
    return Figure(name, 0, measured, unit, measured == 0)
