"""A fleet under load while its store, or the server of its counters, is away for a minute in every way there is.

100 requests a second while PostgreSQL is killed, cut off, read-only or has no connection left; 200 a second while Redis is killed, cut
off, slow, read-only or full. Keys go on, budgets are never overrun, and afterwards both parties' books are the same.
"""

import asyncio

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.outages import Outage, run_outage
from tests.rig.store_faults import Fault, faults_of_counters, faults_of_store
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

GATEWAYS = 4
AWAY_SECONDS, SHORT_AWAY_SECONDS = 60.0, 3.0
STORE_RATE, COUNTERS_RATE = 100, 200
STORE_EXTRA_MS, COUNTERS_EXTRA_MS = 20.0, 50.0
BACK_SECONDS = 5.0


def run(short: bool) -> list[Figure]:
    """The long form takes about twelve minutes."""
    away = SHORT_AWAY_SECONDS if short else AWAY_SECONDS
    figures = []
    with (
        run_postgres("max_connections=60") as server,
        run_redis() as redis,
        FakeProvider(api_key="fake-key") as provider,
    ):
        url = asyncio.run(server.make_store())
        bounds = "max_staleness_seconds = 300"
        with Cluster(
            url, redis.url, provider, gateways=GATEWAYS, gateway=bounds, redis_links=True
        ) as cluster:
            for name, faults, rate, extra in (
                ("PostgreSQL", faults_of_store(server, url, cluster.links), STORE_RATE, STORE_EXTRA_MS),
                ("Redis", faults_of_counters(redis, cluster.redis_links), COUNTERS_RATE, COUNTERS_EXTRA_MS),
            ):
                for state, fault in faults.items():
                    outage = _run_once(cluster, f"{name} {state}", fault, away, rate)
                    head = f"{name} {state} for {away:.0f} s, {rate} requests/s on {GATEWAYS} gateways: "
                    figures += _judge(head, outage, extra, budgets_go_on=name == "PostgreSQL")
    return figures


def _run_once(cluster: Cluster, name: str, fault: Fault, away: float, rate: int) -> Outage:
    outage = asyncio.run(run_outage(cluster, fault, away, rate))
    print(
        f"     {name}: p99 {1000 * outage.p99_before:.0f} → {1000 * outage.p99_meanwhile:.0f} ms, refusals of budgets up to"
        f" {1000 * outage.longest_refusal:.0f} ms, {outage.unpaid} unpaid, {outage.served} served, {outage.refused} refused,"
        f" {outage.wrong} wrong, back after {outage.back_after:.2f} s, {outage.books.accepted} accepted, {outage.books.rows} rows",
        flush=True,
    )
    return outage


def _judge(name: str, outage: Outage, extra: float, *, budgets_go_on: bool) -> list[Figure]:
    refused = outage.refused + (outage.unpaid - outage.undecided) * budgets_go_on
    books, more = outage.books, 1000 * (outage.p99_meanwhile - outage.p99_before)
    faults = books.unrecorded + books.doubled + books.misquoted + books.rows - books.accepted
    return [
        Figure(name + "served although revoked, or beyond the budget", 0, outage.wrong, "answers", outage.wrong == 0),
        Figure(name + "refused without a reason", 0, refused, "answers", refused == 0),
        Figure(name + "requests apart in both parties' books", 0, faults, "requests", faults == 0),
        Figure(name + "difference of both parties' books", 0, abs(books.charged - books.billed), "nano-USD",
               books.charged == books.billed),
        Figure(name + "p99 meanwhile, more than before", extra, round(more, 1), "ms", more <= extra),
        Figure(name + "budgets are verified again after", BACK_SECONDS, round(outage.back_after, 2), "s",
               outage.back_after <= BACK_SECONDS),
    ]  # fmt: skip
