"""Two gateways on one store: what is changed on one is in force on both, and each can be revoked."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rig.cluster import Cluster
from tests.rig.history import History
from tests.rig.push import run_changes
from tests.rig.rolling import roll
from tests.rig.rotations import run_rotations
from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(postgres: PostgresServer, redis_server: RedisServer, provider: FakeProvider) -> Iterator[Cluster]:
    url = asyncio.run(postgres.make_store())
    with Cluster(url, redis_server.url, provider, server="drain_seconds = 10") as cluster:
        yield cluster


def act(gateway: RunningGateway, token: str, path: str, body: Any = None) -> Any:
    """A POST to the admin API."""
    status, answer = gateway.fetch(f"/api/v1{path}", secret=token, body=body or {})
    assert status < 300, answer
    return answer


def wait_until_live(gateway: RunningGateway, token: str, shown: Any) -> None:
    """A busy machine takes longer than the second that an answer waits for."""

    def is_live() -> bool:
        live_on = gateway.fetch(f"/api/v1/keys/{shown['id']}", secret=token)[1]["live_on"]
        return bool(live_on["acked"] == live_on["gateways"])

    if shown["live_on"]["acked"] < shown["live_on"]["gateways"]:
        wait_until(is_live)


def test_a_change_is_in_force_everywhere_when_the_api_answers(cluster: Cluster) -> None:
    first, second = cluster.gateways
    token = first.admin_token()
    made = act(first, token, "/keys", {"name": "everywhere"})
    key_id, secret = made["key"]["id"], made["secret"]
    assert made["key"]["live_on"]["gateways"] == 2
    wait_until_live(first, token, made["key"])
    assert [gateway.ask(secret)[0] for gateway in cluster.gateways] == [200, 200]
    rotated = act(second, token, f"/keys/{key_id}/rotate")["secret"]
    for gateway in cluster.gateways:
        assert gateway.ask(secret) == (401, "invalid_api_key") and gateway.ask(rotated)[0] == 200
    for change, outcome in (
        ("deactivate", (401, "key_inactive")),
        ("activate", (200, "")),
        ("revoke", (401, "key_revoked")),
    ):
        shown = act(second, token, f"/keys/{key_id}/{change}")
        assert shown["live_on"]["gateways"] == 2
        wait_until_live(second, token, shown)
        assert [gateway.ask(rotated) for gateway in cluster.gateways] == [outcome] * 2


def test_a_token_that_one_gateway_made_is_good_on_the_other_when_it_answers(cluster: Cluster) -> None:
    first, second = cluster.gateways
    key = cluster.create_key("mints")
    for maker, user in ((first, second), (second, first)):
        status, made = maker.fetch("/v1/key/ephemeral", secret=key.secret, body={"ttl_seconds": 60})
        assert status == 201 and user.ask(made["token"])[0] == 200
    token = first.admin_token()
    act(first, token, f"/keys/{key.id}/revoke")
    assert second.ask(made["token"]) == (401, "key_revoked")


async def test_a_revocation_ends_the_running_streams_of_every_gateway(cluster: Cluster) -> None:
    first, token = cluster.gateways[0], cluster.gateways[0].admin_token()
    key, spared = cluster.create_key("leaked"), cluster.create_key("spared")
    body = chat_body("tokens=3000 delay_ms=10", stream=True)
    waiting = chat_body("mode=silent seconds=30", stream=True)
    ended_at: list[float] = []

    async def stream(gateway: RunningGateway, secret: str, asked: Any) -> Answer:
        async with Client(gateway.origin, secret) as client:
            answer = await client.send(asked, timeout_seconds=60)
        ended_at.append(time.monotonic())
        return answer

    def are_running() -> bool:
        return all(gateway.readiness()["running"] >= 7 for gateway in cluster.gateways)

    cut = [
        asyncio.create_task(stream(gateway, key.secret, asked))
        for gateway in cluster.gateways
        for asked in [body] * 4 + [waiting] * 2
    ]
    others = [asyncio.create_task(stream(gateway, spared.secret, body)) for gateway in cluster.gateways]
    await asyncio.to_thread(wait_until, are_running)
    assert not any(task.done() for task in (*cut, *others))
    await asyncio.to_thread(act, first, token, f"/keys/{key.id}/revoke")
    answered_at = time.monotonic()
    answers = await asyncio.gather(*cut)
    assert max(ended_at) - answered_at < 4  # two seconds on a machine that has nothing else to do
    assert not any(answer.finished for answer in answers)
    assert all(b"key_revoked" in answer.body and not answer.error for answer in answers), answers
    assert not any(task.done() for task in others)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def test_every_act_is_in_the_audit_log_of_both(cluster: Cluster) -> None:
    key = cluster.create_key("audited")
    for gateway in cluster.gateways:
        folder = gateway.data_dir / "audit"
        wait_until(
            lambda folder=folder: any(
                key.id in path.read_text() for path in folder.rglob("*") if path.is_file()
            )
        )


def test_after_the_answer_nobody_serves_the_former_state(cluster: Cluster, tmp_path: Path) -> None:
    history = run_changes(cluster, 16, rate=100)
    history.write(tmp_path / "history")
    lags = History.read(tmp_path / "history").find_lags()
    assert len(lags) == 16 and min(history.count_looks()) > 0
    assert max(lags) < 1, lags
    assert not [request for request in history.requests if request.status not in (200, 401)]


def test_of_rotated_secrets_the_new_one_is_served_at_once_and_the_old_one_no_longer_than_it_may(
    cluster: Cluster,
) -> None:
    rotated = run_rotations(cluster, 20)
    assert rotated.rotations == 20 and rotated.refused == rotated.odd == 0, rotated
    assert rotated.served > 100 and rotated.ended > 20, rotated
    assert max(rotated.lags, default=0) < 1, rotated


# What restarts gateways comes last: the admin process of each starts anew then.


def test_a_revoked_gateway_refuses_all_traffic_and_the_other_goes_on(cluster: Cluster) -> None:
    first, second = cluster.gateways
    token, key = first.admin_token(), cluster.create_key("survivor")
    _, listed = first.fetch("/api/v1/gateways", secret=token)
    assert [(g["name"], g["status"], g["config_differs"]) for g in listed["data"]] == [
        ("gateway-0", "healthy", False),
        ("gateway-1", "healthy", False),
    ]
    assert listed["data"][0]["providers"] == [{"name": "fake", "health": "up"}]
    gateway_id = listed["data"][1]["id"]
    act(first, token, f"/gateways/{gateway_id}/revoke")
    assert wait_until(lambda: second.ask(key.secret) == (503, "store_stale")) < 5
    status, details = second.fetch("/readyz")
    assert status == 503 and "revoked" in details["problems"][0]
    assert first.ask(key.secret)[0] == 200
    # It is not counted, and a restart changes nothing.
    shown = act(first, token, f"/keys/{key.id}/deactivate")
    assert shown["live_on"]["gateways"] == 1
    act(first, token, f"/keys/{key.id}/activate")
    second.stop()
    second.spawn()
    wait_until(lambda: "serves" in second.log_text().rpartition("revoked")[2])
    assert second.ask(key.secret) == (503, "store_stale")
    act(first, token, f"/gateways/{gateway_id}/allow")
    assert wait_until(lambda: second.ask(key.secret)[0] == 200) < 5


def test_a_rolling_restart_breaks_no_stream(cluster: Cluster) -> None:
    rolled = roll(cluster, streams=12, longest_seconds=1.0)
    assert rolled.failed == 0 and rolled.outcomes["whole"] > 12, rolled
    assert rolled.exits == [0, 0] and max(rolled.drains) < 15, rolled
