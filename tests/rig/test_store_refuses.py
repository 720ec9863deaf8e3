"""A store that answers and takes nothing: keys and budgets go on from memory, readiness says so, and nothing is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.rig.cluster import Cluster
from tests.rig.store_faults import Heal, set_read_only, take_all_connections
from tests.support.client import Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.money import by_request, cost_nanos, usd_to_nanos
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
PAID = 40  # requests that the budget pays for


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with run_postgres("max_connections=32") as server:
        yield server


@pytest.fixture(scope="module")
def cluster(server: PostgresServer, redis_server: RedisServer, provider: FakeProvider) -> Iterator[Cluster]:
    with Cluster(asyncio.run(server.make_store()), redis_server.url, provider) as cluster:
        yield cluster


def spent(cluster: Cluster, secret: str) -> tuple[int, int]:
    """Spent and reserved, as the counters have it."""
    budget = cluster.gateways[0].key_state(secret)["budget"]
    return usd_to_nanos(budget["spent_usd"]), usd_to_nanos(budget["reserved_usd"])


async def wait_for_store(cluster: Cluster, *, takes_rows: bool) -> None:
    """Until every gateway's readiness tells so."""
    for gateway in cluster.gateways:
        await asyncio.to_thread(
            wait_until, lambda gateway=gateway: gateway.readiness()["store"]["takes_rows"] is takes_rows
        )


@pytest.mark.parametrize("begin", [set_read_only, take_all_connections])
async def test_keys_and_budgets_go_on_and_the_books_agree(
    cluster: Cluster, provider: FakeProvider, begin: Callable[[str], Awaitable[Heal]]
) -> None:
    body = chat_body(max_tokens=8)
    probe, plain = cluster.create_key("probe", budget_usd="1"), cluster.create_key("plain")
    assert cluster.gateways[0].ask(probe.secret)[0] == 200
    await asyncio.to_thread(
        wait_until, lambda: spent(cluster, probe.secret)[0] and not spent(cluster, probe.secret)[1]
    )
    cap = PAID * spent(cluster, probe.secret)[0]
    paid = cluster.create_key("paid", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}")
    async with AsyncExitStack() as stack:
        free, paying = [
            [
                await stack.enter_async_context(Client(gateway.origin, key.secret))
                for gateway in cluster.gateways
            ]
            for key in (plain, paid)
        ]
        answers = [await client.send(body) for client in paying]
        heal = await begin(cluster.url)
        stack.push_async_callback(heal)
        assert {(await client.send(body)).status for client in free} == {200}
        await wait_for_store(cluster, takes_rows=False)
        assert all(gateway.is_ready() for gateway in cluster.gateways)  # nobody else could do better
        for turn in await asyncio.gather(*(client.send_all([body] * PAID) for client in paying)):
            answers += turn
        assert {(await client.send(body)).status for client in free} == {200}
        await heal()
        await wait_for_store(cluster, takes_rows=True)
    passed = {answer.request_id for answer in answers if answer.status == 200}
    codes = {answer.code for answer in answers if answer.status != 200}
    assert "insufficient_quota" in codes
    assert codes <= {
        "insufficient_quota",
        "budget_unverifiable",
    }  # the counters may not answer a busy machine in time
    assert len(passed) > PAID // 2
    key = "SELECT request_id, charged_nanos, usage_source FROM ledger WHERE key_id = $1"
    rows = {row[0]: row[1:] for row in await cluster.fetch(key, paid.id)}
    bills = {
        name: entries for name, entries in by_request(provider.settled_ledger()).items() if name in passed
    }
    assert rows == {name: (cost_nanos(entry), "provider") for name, [entry] in bills.items()}
    assert set(rows) == passed
    charged = sum(row[0] for row in rows.values())
    assert charged <= cap
    await asyncio.to_thread(wait_until, lambda: spent(cluster, paid.secret) == (charged, 0))
    # Administrators and the push are back too.
    token = cluster.gateways[0].admin_token()
    status, _ = await asyncio.to_thread(
        cluster.gateways[0].fetch, f"/api/v1/keys/{plain.id}/revoke", secret=token, body={}
    )
    assert status == 200
    for gateway in cluster.gateways:
        await asyncio.to_thread(
            wait_until, lambda gateway=gateway: gateway.ask(plain.secret)[1] == "key_revoked"
        )
        assert "Traceback" not in gateway.log_text()
