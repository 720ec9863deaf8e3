"""Thresholds of a budget that four gateways spend at once, two of which die in between: each fires once, and every receiver
sees one event of it, however often it is sent."""

import asyncio
import base64
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.rig.cluster import Cluster
from tests.support.client import Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.money import usd_to_nanos
from tests.support.postgres import PostgresServer
from tests.support.receiver import Received, Receiver
from tests.support.redis import RedisServer
from tests.support.waiting import until

pytestmark = pytest.mark.slow
PAID = 120  # requests that the budget pays for; a killed gateway's open ones are charged more than they cost
BODY = chat_body("delay_ms=5", max_tokens=8)
ONCE = [("budget.exceeded", 100), *(("budget.threshold", percent) for percent in (50, 80, 100))]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def cluster(
    postgres: PostgresServer,
    own_redis: RedisServer,
    provider: FakeProvider,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cluster]:
    monkeypatch.setenv("HOOK_SECRET", "whsec_" + base64.b64encode(b"k" * 32).decode())
    hook = (
        f'[[notifications.webhooks]]\nurl = "{receiver.url}"\nsecret = "env:HOOK_SECRET"\n'
        'events = ["budget.*"]\nallow_private = true\n'
    )
    url = asyncio.run(postgres.make_store())
    with Cluster(url, own_redis.url, provider, gateways=4, tables=hook) as cluster:
        yield cluster


def occasion(received: Received) -> tuple[str, int]:
    return received.json["type"], received.json["data"].get("percent", 100)


async def test_each_threshold_fires_once(cluster: Cluster, receiver: Receiver) -> None:
    probe = cluster.create_key("probe", budget_usd="1")
    async with Client(cluster.gateways[0].origin, probe.secret) as client:
        bill = (await client.send(BODY)).headers
    cost = usd_to_nanos(bill["x-gateway-cost-usd"])
    cap = f"{cost * PAID // 10**9}.{cost * PAID % 10**9:09d}"
    key = cluster.create_key("spent", budget_usd=cap, alert_thresholds=[50, 80, 100])
    outcomes: list[int] = []
    killed: list[int] = []

    async def spend(number: int) -> None:
        """Until the budget is used up, or nobody is there any more."""
        refused = 0
        async with Client(cluster.gateways[number].origin, key.secret) as client:
            while refused < 3:
                answer = await client.send(BODY)
                outcomes.append(answer.status)
                refused += len(killed) == 2 and answer.code == "insufficient_quota"
                if answer.status == 0:
                    return
                await asyncio.sleep(0.02)

    spending = [asyncio.create_task(spend(number)) for number in range(4) for _ in range(2)]
    for victim, share in ((1, 0.52), (2, 0.82)):  # what has just fired may be in their memory alone
        await until(lambda share=share: outcomes.count(200) >= share * PAID)
        cluster.gateways[victim].kill()
        killed.append(victim)
    await asyncio.gather(*spending)
    for victim in (1, 2):
        cluster.gateways[victim].spawn()
    for victim in (1, 2):
        await asyncio.to_thread(cluster.gateways[victim].wait_until_ready)
    # What the dead held is charged, and whatever is left of the budget is asked for once more on each.
    await asyncio.gather(*(spend(number) for number in range(4)))
    await until(
        lambda: sorted({occasion(one) for one in receiver.requests}) == ONCE, what=str(receiver.requests)
    )

    rows = "SELECT type, dedupe FROM outbox WHERE key_id = $1 AND type LIKE 'budget.%'"
    fired = [(kind, int(dedupe.rsplit(":", 1)[1])) for kind, dedupe in await cluster.fetch(rows, key.id)]
    assert sorted(fired) == ONCE and 0 in outcomes and outcomes.count(200) > PAID // 2
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in receiver.requests:
        ids[occasion(one)].add(one.headers["webhook-id"])
    assert all(len(found) == 1 for found in ids.values()), ids
