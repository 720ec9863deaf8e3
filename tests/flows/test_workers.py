"""One gateway of two processes: one record, one truth about limits, one page of metrics; workers come and go unnoticed."""

import asyncio
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.client import Client, chat_body
from tests.support.command_line import keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nprice = { input = 1, output = 2 }\n'
BODY = chat_body("tokens=2 delay_ms=20", stream=True, max_tokens=8)
PATIENCE_SECONDS = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """The gateway is asked, which blocks."""
    await asyncio.to_thread(wait_until, condition, PATIENCE_SECONDS)


def serving(gateway: RunningGateway) -> int:
    return int(gateway.readiness()["workers"]["serving"])


def count_requests(gateway: RunningGateway) -> int:
    with urllib.request.urlopen(f"{gateway.origin}/metrics", timeout=20) as page:
        lines = page.read().decode().splitlines()
    return sum(
        int(line.rpartition(" ")[2]) for line in lines if line.startswith("gateway_proxy_requests_total{")
    )


def worker_pids(gateway: RunningGateway) -> set[int]:
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


async def roll(gateway: RunningGateway, secret: str) -> None:
    """One after the other is restarted, and no stream notices."""
    before = worker_pids(gateway)
    done = False

    async def work(client: Client) -> list[tuple[int, str, bool]]:
        seen = []
        while not done:
            answer = await client.send(BODY)
            seen.append((answer.status, answer.error, answer.finished))
        return seen

    async with Client(gateway.origin, secret, connections=10) as client:
        working = [asyncio.create_task(work(client)) for _ in range(10)]
        os.kill(gateway.pid, signal.SIGUSR2)
        await until(lambda: not before & worker_pids(gateway) and serving(gateway) == 2)
        done = True
        assert {one for seen in await asyncio.gather(*working) for one in seen} == {(200, "", True)}


async def test_their_life(
    postgres: PostgresServer,
    redis: RedisServer,
    start_gateway: Callable[..., RunningGateway],
    fake_provider: FakeProvider,
) -> None:
    url = await postgres.make_database()
    shared = f'[shared]\nredis_url = "{redis.url}"\n'
    gateway = start_gateway(
        provider_toml(fake_provider.base_url) + TABLES + shared,
        store_url=url,
        server="workers = 2\ndrain_seconds = 10",
    )
    await until(lambda: serving(gateway) == 2)
    key = gateway.create_key()
    async with Client(gateway.origin, key.secret, connections=40) as client:
        sent = await asyncio.gather(*(client.send(BODY) for _ in range(40)))
    assert {(a.status, a.error, a.finished) for a in sent} == {(200, "", True)}
    await until(lambda: count_requests(gateway) == 40)
    token = gateway.admin_token()
    status, found = gateway.fetch("/api/v1/gateways", secret=token)
    assert (status, len(found["data"])) == (200, 1)

    # A limit is one limit, whoever of them is asked.
    limited = gateway.create_key(requests_per_minute=6)
    async with Client(gateway.origin, limited.secret, connections=24) as client:
        statuses = [a.status for a in await asyncio.gather(*(client.send(BODY) for _ in range(24)))]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) <= 8  # a token comes every ten seconds

    # A change is acknowledged when both have it.
    keys(gateway, "deactivate", limited.id)
    async with Client(gateway.origin, limited.secret, connections=24) as client:
        assert {a.status for a in await asyncio.gather(*(client.send(BODY) for _ in range(24)))} == {401}

    # One is killed: the other serves on, a new one comes, and nothing that was counted is lost.
    await until(lambda: count_requests(gateway) == 88)
    os.kill(max(worker_pids(gateway)), signal.SIGKILL)
    await until(lambda: serving(gateway) == 1)
    assert gateway.fetch("/v1/models", secret=key.secret)[0] == 200
    await until(lambda: serving(gateway) == 2)
    assert count_requests(gateway) >= 88

    await roll(gateway, key.secret)
    assert gateway.fetch("/api/v1/gateways", secret=token)[0] == 200

    assert await asyncio.to_thread(gateway.stop, 60) == 0
    assert "Traceback" not in gateway.log_text()
    assert keys(gateway, "show", key.id)["requests"] > 40
