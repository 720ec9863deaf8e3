"""A gateway that is cut off from the store: it goes on within its bounds, over a restart too, and heals by itself."""

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.rig.cluster import Cluster
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway
from tests.support.money import PRICE
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
SERVED = (200, "")
COST = 8 * (Decimal(PRICE.input) + Decimal(PRICE.output)) / 1_000_000  # of one request


@pytest.fixture(scope="module")
def cluster(postgres: PostgresServer, redis_server: RedisServer, provider: FakeProvider) -> Iterator[Cluster]:
    bounds = "max_staleness_seconds = 300\nstrict_staleness_seconds = 8"
    with Cluster(asyncio.run(postgres.make_store()), redis_server.url, provider, gateway=bounds) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def healed(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.links[1].heal()


def spent_on(gateway: RunningGateway, token: str, key_id: str) -> Decimal:
    """What the store has of it."""
    return Decimal(gateway.fetch(f"/api/v1/keys/{key_id}", secret=token)[1]["spent_usd"])


def act(gateway: RunningGateway, token: str, path: str) -> Any:
    status, answer = gateway.fetch(f"/api/v1{path}", secret=token, body={})
    assert status == 200, answer
    return answer


def test_in_a_black_hole_it_goes_on_and_heals_within_a_second(cluster: Cluster) -> None:
    (there, cut), link = cluster.gateways, cluster.links[1]
    token = there.admin_token()
    plain, paused, strict = (
        cluster.create_key(name, strict=name == "strict") for name in ("plain", "paused", "strict")
    )
    paid = cluster.create_key("paid", budget_usd="1")
    status, minted = there.fetch("/v1/key/ephemeral", secret=plain.secret, body={"ttl_seconds": 300})
    assert status == 201
    assert [cut.ask(secret) for secret in (plain.secret, minted["token"], paid.secret)] == [SERVED] * 3
    wait_until(lambda: spent_on(there, token, paid.id) == COST)

    link.blackhole()
    shown = act(there, token, f"/keys/{paused.id}/deactivate")
    assert shown["live_on"] == {"gateways": 2, "acked": 1}
    # What it cannot know it does not know; what it knew it serves, with a budget too.
    assert [cut.ask(key.secret) for key in (plain, paused, paid)] == [SERVED] * 3
    assert there.ask(paused.secret) == (401, "key_inactive")
    wait_until(lambda: cut.ask(strict.secret) == (503, "store_stale"))
    assert cut.ask(minted["token"]) == (503, "store_stale") and cut.ask(plain.secret) == SERVED
    assert cut.readiness()["problems"] == []

    link.heal()
    healed = wait_until(lambda: cut.ask(paused.secret) == (401, "key_inactive"))
    healed += wait_until(lambda: cut.ask(strict.secret) == SERVED)
    assert healed < 3  # a second on a machine that has nothing else to do
    wait_until(lambda: spent_on(there, token, paid.id) == 2 * COST)
    assert "Traceback" not in cut.log_text()


def test_in_a_black_hole_it_ends_as_soon_as_ever(cluster: Cluster) -> None:
    cut, link = cluster.gateways[1], cluster.links[1]
    key = cluster.create_key("late")
    link.blackhole()
    assert cut.ask(key.secret) == SERVED
    begun = time.monotonic()
    assert cut.stop(30) == 0
    took = time.monotonic() - begun
    link.heal()
    cut.start()
    assert took < 15, took  # five seconds on a machine that has nothing else to do
    wait_until(lambda: spent_on(cluster.gateways[0], cluster.gateways[0].admin_token(), key.id) == COST)


def test_over_a_restart_it_goes_on_from_what_it_knew(cluster: Cluster) -> None:
    (there, cut), link = cluster.gateways, cluster.links[1]
    token = there.admin_token()
    plain, revoked, paid = (
        cluster.create_key("plain"),
        cluster.create_key("revoked"),
        cluster.create_key("paid", budget_usd="1"),
    )
    status, minted = cut.fetch("/v1/key/ephemeral", secret=plain.secret, body={"ttl_seconds": 300})
    assert status == 201
    act(there, token, f"/keys/{revoked.id}/revoke")
    assert [cut.ask(secret)[0] for secret in (plain.secret, minted["token"], paid.secret)] == [200] * 3
    wait_until(lambda: spent_on(there, token, plain.id) == 2 * COST)
    wait_until(lambda: spent_on(there, token, paid.id) == COST)

    link.reset(refuse=True)
    assert cut.ask(paid.secret) == SERVED  # this one waits in the spool
    time.sleep(0.1)  # the journal's thread writes what has ended
    cut.restart()
    assert cut.ask(plain.secret) == SERVED and cut.ask(minted["token"]) == SERVED
    assert cut.ask(revoked.secret) == (401, "key_revoked")
    assert cut.ask("gwk_" + "0" * 49) == (401, "invalid_api_key")
    wait_until(lambda: cut.ask(paid.secret) == SERVED)  # by the counters of before
    assert cut.stop() == 0
    cut.start()  # and once more, with requests of two processes in the spool
    assert cut.ask(plain.secret) == SERVED
    wait_until(lambda: cut.ask(paid.secret) == SERVED)
    assert spent_on(there, token, paid.id) == COST

    link.heal()
    wait_until(lambda: cut.ask(paid.secret) == SERVED)
    wait_until(lambda: spent_on(there, token, paid.id) == 5 * COST)
    wait_until(lambda: spent_on(there, token, plain.id) == 5 * COST)
    shown = act(there, token, f"/keys/{plain.id}/deactivate")
    assert shown["live_on"] == {"gateways": 2, "acked": 2} and cut.ask(plain.secret) == (401, "key_inactive")
    assert "Traceback" not in cut.log_text()


def test_a_forgotten_connection_is_noticed(cluster: Cluster) -> None:
    (there, cut), link = cluster.gateways, cluster.links[1]
    token, key = there.admin_token(), cluster.create_key("plain")
    link.forget()
    act(there, token, f"/keys/{key.id}/revoke")
    assert wait_until(lambda: cut.ask(key.secret) == (401, "key_revoked")) < 10


def test_without_a_snapshot_nobody_starts_without_the_store(cluster: Cluster) -> None:
    cut, link = cluster.gateways[1], cluster.links[1]
    link.reset(refuse=True)
    cut.kill()
    (cut.data_dir / "snapshot.db").unlink()
    with pytest.raises(RuntimeError, match=r"the store .* cannot be reached|does not answer|failed"):
        cut.start()
    link.heal()
    cut.start()
    key = cluster.create_key("afterwards")
    assert cut.ask(key.secret) == SERVED
