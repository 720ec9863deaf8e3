"""How soon a change is in force on a whole fleet: four gateways on PostgreSQL under 200 requests a second.

Counted from the answer to the administrator to the last request that any gateway still served by the former state. Its short
form is a test of the rig.
"""

import asyncio
import statistics

from bench.figure import Figure
from bench.load import percentile
from tests.rig.cluster import Cluster
from tests.rig.push import run_changes
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

GATEWAYS = 4
CHANGES, SHORT_CHANGES = 1000, 40
RATE = 200
MAX_P99_MS, MAX_MS = 250.0, 1000.0


def run(short: bool) -> list[Figure]:
    """The long form takes about five minutes."""
    changes = SHORT_CHANGES if short else CHANGES
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            history = run_changes(cluster, changes, rate=RATE)
    lags = sorted(lag * 1000 for lag in history.find_lags())
    waits = [(change.answered_at - change.asked_at) * 1000 for change in history.changes]
    looks = history.count_looks()
    odd = sum(request.status not in (200, 401) for request in history.requests)
    name = f"{changes:,} changes on {GATEWAYS} gateways, {RATE} requests/s: "
    p99, longest = percentile(lags, 99), lags[-1]
    return [
        Figure(name + "from the answer to the last request by the former state, p99", MAX_P99_MS, round(p99, 1), "ms", p99 <= MAX_P99_MS),
        Figure(name + "the longest", MAX_MS, round(longest, 1), "ms", longest <= MAX_MS),
        Figure(name + "changes after which such a request was seen", None, sum(lag > 0 for lag in lags), "changes", passed=True),
        Figure(name + "the administrator waits, median", None, round(statistics.median(waits), 1), "ms", passed=True),
        Figure(name + "the administrator waits, p99", None, round(percentile(sorted(waits), 99), 1), "ms", passed=True),
        Figure(name + "requests that looked at each change, median, more than", 0, round(statistics.median(looks)), "requests",
               passed=min(looks) >= 0 and statistics.median(looks) > 0),
        Figure(name + "requests with another answer than the two states'", 0, odd, "requests", passed=odd == 0),
    ]  # fmt: skip
