"""A rolling restart of four gateways under 200 streams of up to 30 seconds, behind a front that asks for readiness.

Its short form is a test of the rig.
"""

import asyncio

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.rolling import roll
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

DRAIN_SECONDS = 40
GATEWAYS, STREAMS, LONGEST_SECONDS = 4, 200, 30.0
SHORT_STREAMS, SHORT_LONGEST_SECONDS = 24, 3.0


def run(short: bool) -> list[Figure]:
    """The long form takes about four minutes."""
    streams, longest = (SHORT_STREAMS, SHORT_LONGEST_SECONDS) if short else (STREAMS, LONGEST_SECONDS)
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        url = asyncio.run(server.make_store())
        with Cluster(
            url, redis.url, provider, gateways=GATEWAYS, server=f"drain_seconds = {DRAIN_SECONDS}"
        ) as cluster:
            rolled = roll(cluster, streams=streams, longest_seconds=longest)
    print(f"     {dict(rolled.outcomes)}", flush=True)
    name = f"rolling restart of {GATEWAYS} gateways under {streams} streams of up to {longest:.0f} s: "
    whole, slowest = rolled.outcomes["whole"], max(rolled.drains)
    return [
        Figure(name + "streams that failed", 0, rolled.failed, "streams", rolled.failed == 0),
        Figure(name + "streams that ended whole, more than", streams, whole, "streams", whole > streams),
        Figure(name + "exits with another code than 0", 0, sum(map(bool, rolled.exits)), "exits", not any(rolled.exits)),
        Figure(name + "from SIGTERM to the end, longest", DRAIN_SECONDS + 5, round(slowest, 1), "s",
               slowest <= DRAIN_SECONDS + 5),
    ]  # fmt: skip
