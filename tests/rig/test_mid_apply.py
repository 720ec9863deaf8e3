"""A gateway that is killed in the midst of applying a change: it has acknowledged nothing that it could forget, and starts again
into the state of the store."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.rig.cluster import Cluster
from tests.rig.dying import MORTAL, POINTS
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

pytestmark = pytest.mark.slow
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}


@pytest.fixture(scope="module")
def cluster(postgres: PostgresServer, redis_server: RedisServer, provider: FakeProvider) -> Iterator[Cluster]:
    url = asyncio.run(postgres.make_store())
    with Cluster(url, redis_server.url, provider) as cluster:
        yield cluster


def wait_until(what: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
    ends = time.monotonic() + timeout_seconds
    while not what():
        assert time.monotonic() < ends, "it does not come about"
        time.sleep(0.01)


def ask(gateway: RunningGateway, key: CreatedKey) -> tuple[int, str]:
    """Status and error code."""
    status, answer = gateway.fetch("/v1/chat/completions", secret=key.secret, body=BODY)
    return status, answer.get("error", {}).get("code", "")


def acknowledged(cluster: Cluster) -> int:
    """By the gateway that dies."""
    [(seq,)] = asyncio.run(cluster.fetch("SELECT applied_seq FROM gateways WHERE name = 'gateway-1'"))
    return int(seq)


def audited(gateway: RunningGateway) -> list[int]:
    """The numbers of the changes in its audit log, in order."""
    lines = [
        json.loads(line)
        for path in sorted((gateway.data_dir / "audit").rglob("*"))
        if path.is_file()
        for line in path.read_text().splitlines()
        if line.startswith("{")
    ]
    return [line["change"] for line in lines if line.get("change")]


@pytest.mark.parametrize("point", POINTS)
def test_killed_when_a_change_was(cluster: Cluster, point: str) -> None:
    there, dying = cluster.gateways
    other, mortal = cluster.create_key("other"), cluster.create_key(MORTAL, budget_usd="1")
    dying.kill()
    dying.program = ("tests.rig.dying", point)
    dying.start()
    assert ask(dying, mortal) == (200, "")

    for key in (other, mortal):  # two changes, of which the second kills; they may be taken together
        there.revoke_key(key.id)
    [(change,)] = asyncio.run(cluster.fetch("SELECT max(seq) FROM changes"))
    assert dying.wait(20) == -9
    if point == "acknowledged":
        # What it has acknowledged a restart knows by itself.
        assert acknowledged(cluster) == change
        cluster.links[1].reset(refuse=True)
    elif point != "audited":  # that goes on beside
        assert acknowledged(cluster) < change
    dying.program = ("gateway_proxy",)
    dying.start()
    assert [ask(dying, key) for key in (other, mortal)] == [(401, "key_revoked")] * 2
    cluster.links[1].heal()
    wait_until(lambda: acknowledged(cluster) >= change)
    wait_until(lambda: audited(dying)[-1:] >= [change])
    numbers = audited(dying)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))  # each once, in order
