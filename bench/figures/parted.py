"""One of two gateways is cut off from the store and from the counters for five minutes, while keys are revoked and money is spent on both sides.

What it may not know any more it refuses after the bound; no budget is overrun; and soon after the network is back it is like the other.
"""

import asyncio
import time
from typing import NamedTuple

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.judging import ROWS, Books, compare_books
from tests.rig.open_load import OpenLoad
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey
from tests.support.money import usd_to_nanos
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

AWAY_SECONDS, SHORT_AWAY_SECONDS = 300.0, 9.0
STRICT_SECONDS, SHORT_STRICT_SECONDS = 30, 4
RATE = 80
TOLERANCE_SECONDS = 1.0  # of the age that a gateway knows its state to have
HEALED_SECONDS = 1.0
CUT = 1


class _Parted(NamedTuple):
    load: OpenLoad
    begun: float
    healed: float
    books: Books
    cap: int


def run(short: bool) -> list[Figure]:
    """The long form takes about six minutes."""
    away, strict = (SHORT_AWAY_SECONDS, SHORT_STRICT_SECONDS) if short else (AWAY_SECONDS, STRICT_SECONDS)
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        url = asyncio.run(server.make_store())
        bounds = f"strict_staleness_seconds = {strict}"
        with Cluster(url, redis.url, provider, gateway=bounds, redis_links=True) as cluster:
            parted = asyncio.run(_part(cluster, away))
    return _judge(parted, strict, f"cut off from store and counters for {away:.0f} s: ")


async def _part(cluster: Cluster, away: float) -> _Parted:
    there = cluster.gateways[0]
    keys = {
        "plain": cluster.create_key("plain"),
        "strict": cluster.create_key("strict", strict=True),
        "revoked": cluster.create_key("revoked"),
    }
    cost = await _measure_cost(cluster)
    cap = round(cost * RATE / 5 * away / 2)  # half of what is asked for in this time
    keys["paid"] = cluster.create_key("paid", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}")
    _, minted = there.fetch("/v1/key/ephemeral", secret=keys["plain"].secret, body={"ttl_seconds": 900})
    secrets = {**{name: key.secret for name, key in keys.items()}, "ephemeral": minted["token"]}
    links = (cluster.links[CUT], cluster.redis_links[CUT])
    earlier = len(cluster.provider.settled_ledger(60))
    async with OpenLoad(cluster, secrets, RATE) as load:
        await asyncio.sleep(2.0)
        for link in links:
            link.blackhole()
        begun = time.monotonic()
        await asyncio.to_thread(there.revoke_key, keys["revoked"].id)
        await asyncio.sleep(begun + away - time.monotonic())
        for link in links:
            link.heal(lossy=True)
        healed = time.monotonic()
        await asyncio.sleep(6.0)
    books = await _compare(cluster, keys["paid"], earlier, cap)
    return _Parted(load, begun, healed, books, cap)


async def _measure_cost(cluster: Cluster) -> int:
    """Of one request, as it is charged."""
    probe = cluster.create_key("probe", budget_usd="1")
    assert (await asyncio.to_thread(cluster.gateways[0].ask, probe.secret, max_tokens=4))[0] == 200
    while True:
        budget = (await asyncio.to_thread(cluster.gateways[0].key_state, probe.secret))["budget"]
        if usd_to_nanos(budget["reserved_usd"]) == 0 < usd_to_nanos(budget["spent_usd"]):
            return usd_to_nanos(budget["spent_usd"])
        await asyncio.sleep(0.05)


async def _compare(cluster: Cluster, key: CreatedKey, earlier: int, cap: int) -> Books:
    """Of the key with a budget, once both sides' rows are in the store."""
    await asyncio.sleep(3.0)
    rows = await cluster.fetch(ROWS, key.id)
    mine = {row[0] for row in rows}
    others = {row[0] for row in await cluster.fetch("SELECT request_id FROM ledger")} - mine
    entries = (await asyncio.to_thread(cluster.provider.settled_ledger, 60))[earlier:]
    return compare_books(rows, [entry for entry in entries if entry.request_id not in others], (), cap)


def _judge(parted: _Parted, strict: int, name: str) -> list[Figure]:
    load, begun, healed, books, cap = parted
    too_old = begun + strict + TOLERANCE_SECONDS
    stale = sum(
        one.status == 200 for key in ("strict", "ephemeral") for one in load.find(key, too_old, healed, CUT)
    )
    judged = len(load.find("strict", too_old, healed, CUT))
    plain = sum(one.status != 200 for one in load.find("plain", 0))
    served = sum(one.status == 200 for one in load.find("paid", begun, healed, CUT))
    former = [one for one in load.find("revoked", healed, gateway=CUT) if one.status == 200] + [
        one
        for key in ("strict", "ephemeral", "paid")
        for one in load.find(key, healed, gateway=CUT)
        if one.status == 503
    ]
    took = max((one.sent_at - healed for one in former), default=0.0)
    apart = books.unrecorded + books.doubled + books.misquoted + (books.rows != books.accepted)
    return [
        Figure(name + f"strict keys and tokens served there after {strict} s", 0, stale, "answers", stale == 0),
        Figure(name + "such requests, more than", 0, judged, "requests", judged > 0),
        Figure(name + "keys without limits refused anywhere", 0, plain, "answers", plain == 0),
        Figure(name + "charged above the budget", 0, max(0, books.charged - cap), "nano-USD", books.charged <= cap),
        Figure(name + "requests apart in both parties' books", 0, apart, "requests", apart == 0),
        Figure(name + "of the budget charged", None, round(100 * books.charged / cap, 1), "%", passed=True),
        Figure(name + "served there of a budget", None, served, "requests", passed=True),
        Figure(name + "live again after", HEALED_SECONDS, round(took, 2), "s", took <= HEALED_SECONDS),
    ]  # fmt: skip
