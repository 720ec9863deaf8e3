"""Two gateways whose clocks are four minutes apart spend a month's budget over the month's end, in a zone whose summer time ended on
its last day: it ends once, at one moment, and both months have what the provider billed."""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.rig.cluster import Cluster
from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.money import FLAT, by_request, cost_nanos, usd_to_nanos
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ENDS_MS = int(datetime.fromisoformat("2027-10-31T23:00:00+00:00").timestamp() * 1000)
ENDS_AGAIN = "2027-11-30T23:00:00"
LEAD_SECONDS = 10.0  # for a busy machine to start everything
AFTER_SECONDS = 0.8
PAID = 30
BODY = chat_body(max_tokens=8)


@pytest.fixture
def ahead_ms() -> int:
    """Of the server's clock: the month ends soon."""
    return ENDS_MS - int((time.time() + LEAD_SECONDS) * 1000)


@pytest.fixture
def cluster(
    postgres: PostgresServer, own_redis: RedisServer, provider: FakeProvider, ahead_ms: int
) -> Iterator[Cluster]:
    own_redis.run("SET", "skew", str(ahead_ms // 1000))
    programs = [("tests.rig.skewed", str(ahead_ms / 1000 + apart)) for apart in (120, -120)]
    url = asyncio.run(postgres.make_store())
    with Cluster(url, own_redis.url, provider, programs=programs) as cluster:
        yield cluster


async def test_it_ends_once_for_all(cluster: Cluster, provider: FakeProvider, ahead_ms: int) -> None:
    def now_ms() -> int:
        return int(time.time() * 1000) + ahead_ms // 1000 * 1000

    probe = cluster.create_key("probe", budget_usd="1")
    async with Client(cluster.gateways[0].origin, probe.secret) as client:
        cost = usd_to_nanos((await client.send(BODY)).headers["x-gateway-cost-usd"])
    cap = PAID * cost
    rule = {"budget_period": "month", "budget_timezone": "Europe/Berlin"}
    key = cluster.create_key("monthly", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}", **rule)
    assert now_ms() < ENDS_MS - 500, "this machine is too busy to be there in time"
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
    assert {answer.code for _, _, answer in seen if answer.status != 200} == {"insufficient_quota"}
    assert any(answer.status == 429 and answered_at < ENDS_MS for _, answered_at, answer in seen)
    for sent_at, answered_at, answer in seen:
        if answer.status == 200:
            period = rows[answer.request_id][0]
            assert answered_at >= ENDS_MS if period == later else sent_at <= ENDS_MS, (sent_at, answered_at)
    for gateway, state in zip(cluster.gateways, states, strict=True):
        budget = gateway.key_state(key.secret)["budget"]
        assert usd_to_nanos(budget["spent_usd"]) == spent[later]
        assert state["resets_at"].startswith(ENDS_AGAIN)
        assert "Traceback" not in gateway.log_text()
