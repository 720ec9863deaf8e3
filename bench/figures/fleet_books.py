"""What four gateways book of 50,000 requests of one key with a budget for nine of ten, against the provider's books.

One of twenty requests meets a fault of the provider, one of twenty clients leaves within its answer, and Redis is killed and comes
back empty three times. Its short form is a test of the rig.
"""

import asyncio
import dataclasses

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.storm import FAULTY, Act, Plan, run_storm
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

GATEWAYS = 4
PLAN = Plan(
    requests=50_000, funded=45_000, streams=100, tokens=12, delay_ms=5, deadline_seconds=1800, orders=FAULTY, leaving=0.05
)  # fmt: skip
SHORT_PLAN = dataclasses.replace(PLAN, requests=1000, funded=800, streams=24, deadline_seconds=60)
LOST_AT, SHORT_LOST_AT, AWAY_SECONDS = (20.0, 60.0, 100.0), (1.0, 3.0, 5.0), 1.0


def run(short: bool) -> list[Figure]:
    """The long form takes about five minutes."""
    plan = SHORT_PLAN if short else PLAN
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            acts = [
                act
                for at in (SHORT_LOST_AT if short else LOST_AT)
                for act in (Act(at, redis.kill), Act(at + AWAY_SECONDS, redis.start))
            ]
            verdict = run_storm(cluster, plan, acts)
    books, outcomes = verdict.books, verdict.outcomes
    print(f"     {dict(outcomes)}", flush=True)
    name = f"{plan.requests:,} requests on {GATEWAYS} gateways, Redis lost {len(acts) // 2} times: "
    refused, left = outcomes["429 insufficient_quota"], outcomes["left"]
    counts = (
        ("difference of both parties' books outside of rows marked estimated", books.unexplained, "nano-USD"),
        ("counters apart from the ledger when quiet", abs(verdict.spent - books.charged) + verdict.reserved, "nano-USD"),
        ("charged above the budget", max(0, books.charged - verdict.cap), "nano-USD"),
        ("accepted without a row, or with two, or not as billed", books.unrecorded + books.doubled + books.misquoted, "requests"),
        ("refused although the budget could have paid", books.unjust, "requests"),
    )  # fmt: skip
    return [
        *(Figure(name + what, 0, count, unit, count == 0) for what, count, unit in counts),
        Figure(name + "refused since the budget was used up, more than", 0, refused, "requests", refused > 0),
        Figure(name + "clients that left, more than", 0, left, "requests", left > 0),
        Figure(name + "accepted by the provider", None, books.accepted, "requests", passed=True),
        Figure(name + "until nothing was reserved any more", 60, verdict.quiet_seconds, "s", verdict.quiet_seconds <= 60),
    ]  # fmt: skip
