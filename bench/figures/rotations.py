"""Rotations of keys on a whole fleet: four gateways on PostgreSQL under 100 requests a second with new and old secrets.

Its short form is a test of the rig.
"""

import asyncio

from bench.figure import Figure
from bench.load import percentile
from tests.rig.cluster import Cluster
from tests.rig.rotations import run_rotations
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

GATEWAYS = 4
ROTATIONS, SHORT_ROTATIONS = 200, 20
MAX_P99_MS, MAX_MS = 250.0, 1000.0


def run(short: bool) -> list[Figure]:
    """The long form takes about a minute and a half."""
    count = SHORT_ROTATIONS if short else ROTATIONS
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            rotated = run_rotations(cluster, count)
    lags = sorted(lag * 1000 for lag in rotated.lags) or [0.0]
    # Of all requests with an old secret, not only of those that were served by it.
    p99 = percentile([0.0] * rotated.ended + lags, 99)
    name = f"{count} rotations on {GATEWAYS} gateways, half of them with grace: "
    return [
        Figure(name + "refused although served by right", 0, rotated.refused, "requests", rotated.refused == 0),
        Figure(name + "served by right, more than", count, rotated.served, "requests", rotated.served > count),
        Figure(name + "from its end to the last request by an old secret, p99", MAX_P99_MS, round(p99, 1), "ms", p99 <= MAX_P99_MS),
        Figure(name + "the longest", MAX_MS, round(lags[-1], 1), "ms", lags[-1] <= MAX_MS),
        Figure(name + "requests that were served by a secret after its end", None, len(rotated.lags), "requests", passed=True),
        Figure(name + "answers before every gateway had the new secret", None, rotated.waited, "answers", passed=True),
        Figure(name + "requests with another answer than these two", 0, rotated.odd, "requests", rotated.odd == 0),
    ]  # fmt: skip
