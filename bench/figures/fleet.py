"""A budget over four gateways while Redis is lost and one of them is killed: the provider's books judge.

200 streams of one key whose budget pays 500 of 2,000 requests; Redis is killed after 10 s and comes back empty after 20 s,
a gateway is killed after 25 s. Its short form is a test of the rig.
"""

import asyncio

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.storm import Act, Plan, Verdict, run_storm
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import RedisServer, run_redis

GATEWAYS = 4
SEEDS = 3
PLAN = Plan(requests=2000, funded=500, streams=200, tokens=60, delay_ms=200, deadline_seconds=240)
SHORT_PLAN = Plan(requests=200, funded=50, streams=24, tokens=24, delay_ms=80, deadline_seconds=60)


def run(short: bool) -> list[Figure]:
    """The long form takes about ten minutes."""
    verdicts = []
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            for seed in range(1 if short else SEEDS):
                verdicts.append(_run_once(cluster, redis, seed, short=short))
    plan = SHORT_PLAN if short else PLAN
    name = (
        f"{len(verdicts)} storms, {plan.streams} streams, {plan.funded} of {plan.requests:,} requests paid: "
    )
    return [
        _count(name + "storms in which provider's books ≤ ours ≤ budget does not hold", "storms",
               sum(not verdict.holds for verdict in verdicts)),
        _count(name + "charged above the budget", "nano-USD", sum(max(0, v.charged - v.cap) for v in verdicts)),
        _count(name + "billed by the provider and not charged", "nano-USD",
               sum(max(0, v.billed - v.charged) for v in verdicts)),
        _count(name + "counters apart from the ledger when quiet", "nano-USD",
               sum(abs(v.spent - v.charged) + v.reserved for v in verdicts)),
        Figure(name + "accepted by the provider", None, sum(v.accepted for v in verdicts), "requests", passed=True),
        Figure(name + "share of the budget that was charged, least", None,
               round(min(100 * v.charged / v.cap for v in verdicts), 1), "%", passed=True),
    ]  # fmt: skip


def _run_once(cluster: Cluster, redis: RedisServer, seed: int, *, short: bool) -> Verdict:
    victim = cluster.gateways[1 + seed % (GATEWAYS - 1)]
    scale = 0.1 if short else 1.0
    acts = [Act(10 * scale, redis.kill), Act(20 * scale, redis.start), Act(25 * scale, victim.kill)]
    verdict = run_storm(cluster, SHORT_PLAN if short else PLAN, acts, victim.start)
    print(f"     {verdict}", flush=True)
    return verdict


def _count(name: str, unit: str, measured: int) -> Figure:
    return Figure(name, 0, measured, unit, measured == 0)
