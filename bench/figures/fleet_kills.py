"""A hundred SIGKILLs of four gateways in turn, under 200 streams of one key: what the provider accepted has one row each.

Each kill is at a moment of its own, soon after the gateway before is back. In the tests one of two is killed within a storm.
"""

import asyncio

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.storm import Plan, kill_in_turn, run_storm
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

GATEWAYS = 4
KILLS, SHORT_KILLS = 100, 4
STREAMS, SHORT_STREAMS = 200, 24
FREED_SECONDS = 60


def run(short: bool) -> list[Figure]:
    """The long form takes about ten minutes."""
    kills, streams = (SHORT_KILLS, SHORT_STREAMS) if short else (KILLS, STREAMS)
    plan = Plan(
        requests=None, funded=10_000_000, streams=streams, tokens=20, delay_ms=50, deadline_seconds=3600
    )
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            verdict = run_storm(cluster, plan, kill_in_turn(cluster, kills))
    books = verdict.books
    print(f"     {dict(verdict.outcomes)}", flush=True)
    name = (
        f"{kills} SIGKILLs of {GATEWAYS} gateways, {streams} streams, {books.accepted:,} requests accepted: "
    )
    counts = (
        ("accepted without a row", books.unrecorded, "requests"),
        ("rows beyond a request's first", books.doubled, "rows"),
        ("rows of reported usage that nobody accepted, or not as billed", books.misquoted, "rows"),
        ("billed by the provider and not charged", max(0, books.billed - books.charged), "nano-USD"),
        ("difference outside of rows marked estimated", books.unexplained, "nano-USD"),
        ("counters apart from the ledger when quiet", abs(verdict.spent - books.charged) + verdict.reserved, "nano-USD"),
    )  # fmt: skip
    return [
        *(Figure(name + what, 0, count, unit, count == 0) for what, count, unit in counts),
        # A run without orphans would have killed nothing that mattered.
        Figure(name + "rows of requests that were cut, more than", 0, books.orphans, "rows", books.orphans > 0),
        Figure(name + "until what the last had reserved was free", FREED_SECONDS, verdict.quiet_seconds, "s",
               verdict.quiet_seconds <= FREED_SECONDS),
    ]  # fmt: skip
