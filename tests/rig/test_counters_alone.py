"""PostgreSQL away and a gateway killed: started again it judges budgets by the shared counters, exactly, or not at all."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway_proxy.shared.names import Names
from tests.rig.cluster import Cluster
from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.money import by_request, cost_nanos, usd_to_nanos
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer, run_redis
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
PAID = 60  # requests that the budget pays for
OPEN = 4  # that run when the gateway is killed
BODY = chat_body(max_tokens=8)
ENDLESS = chat_body("mode=slow delay_ms=200 tokens=400", stream=True, max_tokens=8)
UNKNOWN = (503, "budget_unverifiable")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with run_redis() as server:
        yield server


@pytest.fixture(scope="module")
def cluster(postgres: PostgresServer, redis: RedisServer, provider: FakeProvider) -> Iterator[Cluster]:
    with Cluster(asyncio.run(postgres.make_store()), redis.url, provider) as cluster:
        yield cluster


def spent(gateway: RunningGateway, secret: str) -> tuple[int, int]:
    """Spent and reserved, as the counters have it."""
    budget = gateway.key_state(secret)["budget"]
    return usd_to_nanos(budget["spent_usd"]), usd_to_nanos(budget["reserved_usd"])


def make_paid_key(cluster: Cluster) -> tuple[CreatedKey, int]:
    """A key whose budget pays for PAID requests, known to the counters; and its cap in nano-USD."""
    probe = cluster.create_key("probe", budget_usd="1")
    assert cluster.gateways[0].ask(probe.secret)[0] == 200
    wait_until(lambda: spent(cluster.gateways[0], probe.secret)[0])
    cap = PAID * spent(cluster.gateways[0], probe.secret)[0]
    return cluster.create_key("paid", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}"), cap


def cut(cluster: Cluster) -> None:
    for link in cluster.links:
        link.reset(refuse=True)


def heal(cluster: Cluster) -> None:
    for link in cluster.links:
        link.heal()


async def kill_while_open(gateway: RunningGateway, secret: str) -> None:
    async with Client(gateway.origin, secret) as client:
        before = spent(gateway, secret)[0]
        running = [asyncio.ensure_future(client.send(ENDLESS)) for _ in range(OPEN)]
        while gateway.readiness()["running"] < OPEN or not spent(gateway, secret)[1]:
            await asyncio.sleep(0.02)
        assert spent(gateway, secret)[0] == before
        await asyncio.to_thread(gateway.kill)
        assert {(await answer).finished for answer in running} == {False}


async def flood(cluster: Cluster, secret: str) -> list[Answer]:
    """Far more than the budget pays for, on all gateways at once, until nothing but the budget refuses: on a busy machine a
    decision may take too long."""
    answers: list[Answer] = []
    origins = [gateway.origin for gateway in cluster.gateways]
    async with (
        Client(origins[0], secret, connections=4) as one,
        Client(origins[1], secret, connections=4) as two,
    ):
        while True:
            turns = await asyncio.gather(*(client.send_all([BODY] * (PAID // 2)) for client in (one, two)))
            answers += [answer for turn in turns for answer in turn]
            if {answer.code for turn in turns for answer in turn} == {"insufficient_quota"}:
                return answers


@pytest.fixture(autouse=True)
def healed(cluster: Cluster) -> Iterator[None]:
    yield
    heal(cluster)


def test_limits_stay_exact_and_the_books_agree(
    cluster: Cluster, provider: FakeProvider, redis: RedisServer
) -> None:
    (there, died), (paid, cap) = cluster.gateways, make_paid_key(cluster)
    fresh = cluster.create_key("fresh", budget_usd="1")
    assert [gateway.ask(paid.secret)[0] for gateway in cluster.gateways] == [200, 200]
    cut(cluster)
    asyncio.run(kill_while_open(died, paid.secret))
    died.start()
    assert died.readiness()["shared"]["state"] == "ready"
    counter = Names(died.readiness()["shared"]["epoch"]).budget(fresh.id, fresh.id)
    wait_until(lambda: died.ask(fresh.secret)[0] == 200)
    assert redis.run("DEL", counter) == b":1\r\n"
    assert died.ask(fresh.secret) == UNKNOWN  # what is not there only the ledger could tell
    _, held = spent(there, paid.secret)
    answers = asyncio.run(flood(cluster, paid.secret))
    passed = {answer.request_id for answer in answers if answer.status == 200}
    codes = {answer.code for answer in answers if answer.status != 200}
    assert codes <= {"insufficient_quota", "budget_unverifiable"}
    assert len(passed) > PAID // 3 and held > 0
    bills = by_request(provider.settled_ledger())
    assert sum(cost_nanos(entry) for name in passed for entry in bills[name]) + held <= cap
    wait_until(lambda: spent(died, paid.secret)[1] == held)  # what the dead one had reserved

    heal(cluster)
    rows = "SELECT request_id, charged_nanos, usage_source FROM ledger WHERE key_id = $1"
    wait_until(lambda: len(asyncio.run(cluster.fetch(rows, paid.id))) == len(passed) + 2 + OPEN)
    found = {row[0]: row[1:] for row in asyncio.run(cluster.fetch(rows, paid.id))}
    exact = {name: charged for name, (charged, source) in found.items() if source == "provider"}
    assert exact == {name: cost_nanos(bills[name][0]) for name in exact} and passed <= set(exact)
    charged = sum(row[0] for row in found.values())
    assert len(found) - len(exact) == OPEN and charged <= cap
    for gateway in cluster.gateways:
        # Both counters and ledger: the dead one's leases are gone, and what it had reserved is charged.
        wait_until(lambda gateway=gateway: spent(gateway, paid.secret) == (charged, 0))
        assert gateway.readiness()["shared"]["state"] == "ready"
        wait_until(lambda gateway=gateway: gateway.ask(fresh.secret)[0] == 200)
        assert "Traceback" not in gateway.log_text()


def test_counters_that_are_lost_meanwhile_are_not_believed(cluster: Cluster, redis: RedisServer) -> None:
    (there, died), (paid, _) = cluster.gateways, make_paid_key(cluster)
    plain = cluster.create_key("plain")
    assert [gateway.ask(paid.secret)[0] for gateway in cluster.gateways] == [200, 200]
    wait_until(lambda: spent(there, paid.secret)[1] == 0)
    cut(cluster)
    died.restart()
    wait_until(lambda: died.ask(paid.secret)[0] == 200)
    redis.run("FLUSHALL")
    for gateway in cluster.gateways:
        wait_until(lambda gateway=gateway: gateway.ask(paid.secret) == UNKNOWN)
    died.restart()  # nor by the next process
    assert died.ask(paid.secret) == UNKNOWN and died.ask(plain.secret)[0] == 200
    heal(cluster)
    for gateway in cluster.gateways:
        wait_until(lambda gateway=gateway: gateway.ask(paid.secret)[0] == 200)
    each = spent(there, paid.secret)[0]
    wait_until(lambda: spent(there, paid.secret) == spent(died, paid.secret))
    assert each > 0
