"""Two gateways whose clocks are four minutes apart spend a month's budget over the month's end, in a zone whose summer time ended on
its last day: it ends once, at one moment, and both months have what the provider billed."""

import asyncio
import time
from datetime import datetime

import pytest

from tests.rig.cluster import Cluster
from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey
from tests.support.money import FLAT, by_request, cost_nanos, usd_to_nanos
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ENDS_MS = int(datetime.fromisoformat("2027-10-31T23:00:00+00:00").timestamp() * 1000)
ENDS_AGAIN = "2027-11-30T23:00:00"
LEADS_SECONDS = (8.0, 25.0, 60.0)  # from the begin to the end of the month: what is started may take longer
TIME_TO_SPEND_MS = 2000
AFTER_SECONDS = 0.8
PAID = 20
BODY = chat_body(max_tokens=8)


async def test_it_ends_once_for_all(
    postgres: PostgresServer, own_redis: RedisServer, provider: FakeProvider
) -> None:
    for lead_seconds in LEADS_SECONDS:
        ahead_seconds = ENDS_MS // 1000 - int(time.time() + lead_seconds)
        own_redis.run("FLUSHALL")
        own_redis.run("SET", "skew", str(ahead_seconds))
        programs = [("tests.rig.skewed", str(ahead_seconds + apart)) for apart in (120, -120)]
        url = await postgres.make_store()
        with Cluster(url, own_redis.url, provider, programs=programs) as cluster:
            if await spends_over_the_end(cluster, provider, ahead_seconds * 1000):
                return
    raise AssertionError("this machine is too busy to be there in time")


async def spends_over_the_end(cluster: Cluster, provider: FakeProvider, ahead_ms: int) -> bool:
    """False if the gateways were not there in time; the rest is asserted."""

    def now_ms() -> int:
        return int(time.time() * 1000) + ahead_ms

    probe = cluster.create_key("probe", budget_usd="1")
    async with Client(cluster.gateways[0].origin, probe.secret) as client:
        while (answer := await client.send(BODY)).status == 503:
            pass
        cost = usd_to_nanos(answer.headers["x-gateway-cost-usd"])
    cap = PAID * cost
    rule = {"budget_period": "month", "budget_timezone": "Europe/Berlin"}
    key = cluster.create_key("monthly", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}", **rule)
    if now_ms() > ENDS_MS - TIME_TO_SPEND_MS:
        return False
    seen: list[tuple[int, int, Answer]] = []

    async def spend(number: int) -> None:
        async with Client(cluster.gateways[number].origin, key.secret) as client:
            while (sent_at := now_ms()) < ENDS_MS + AFTER_SECONDS * 1000:
                answer = await client.send(BODY)
                seen.append((sent_at, now_ms(), answer))
                await asyncio.sleep(0.01)

    await asyncio.gather(*(spend(number) for number in range(2)))
    states = [gateway.key_state(key.secret)["budget"] for gateway in cluster.gateways]
    await asyncio.to_thread(
        wait_until, lambda: all(not usd_to_nanos(gateway.key_state(key.secret)["budget"]["reserved_usd"]) for gateway in cluster.gateways)
    )  # fmt: skip
    for state in states:
        assert state["resets_at"].startswith(ENDS_AGAIN)
    await judge(cluster, provider, key, seen, cap)
    return True


async def judge(
    cluster: Cluster, provider: FakeProvider, key: CreatedKey, seen: list[tuple[int, int, Answer]], cap: int
) -> None:
    passed = {answer.request_id for _, _, answer in seen if answer.status == 200}
    rows: dict[str, tuple[str, int]] = {}
    while len(rows) < len(passed):
        found = await cluster.fetch(
            "SELECT request_id, period, charged_nanos FROM ledger WHERE key_id = $1", key.id
        )
        rows = {row[0]: row[1:] for row in found}
        await asyncio.sleep(0.05)

    # The provider's bills are the two months' spend, of which neither is beyond the budget.
    bills = by_request(provider.settled_ledger())
    assert set(rows) == passed
    assert {name: charged for name, (_, charged) in rows.items()} == {
        name: sum(cost_nanos(entry, FLAT) for entry in bills[name]) for name in passed
    }
    former, later = sorted({period for period, _ in rows.values()})
    spent = {month: sum(c for period, c in rows.values() if period == month) for month in (former, later)}
    assert cap / 2 < spent[former] <= cap and 0 < spent[later] <= cap
    # It ends at the server's moment for both: refused until then, served from then on.
    codes = {answer.code for _, _, answer in seen if answer.status != 200}
    assert codes <= {
        "insufficient_quota",
        "budget_unverifiable",
    }  # the counters may not answer a busy machine in time
    assert any(
        answer.code == "insufficient_quota" and answered_at < ENDS_MS for _, answered_at, answer in seen
    )
    for sent_at, answered_at, answer in seen:
        if answer.status == 200:
            period = rows[answer.request_id][0]
            assert answered_at >= ENDS_MS if period == later else sent_at <= ENDS_MS, (sent_at, answered_at)
    for gateway in cluster.gateways:
        budget = gateway.key_state(key.secret)["budget"]
        assert usd_to_nanos(budget["spent_usd"]) == spent[later]
        assert "Traceback" not in gateway.log_text()
