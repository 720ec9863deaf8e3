"""A gateway whose store is a PostgreSQL server: the same life as on the embedded one, and a server that goes away."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.command_line import keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.postgres import PostgresServer, run_postgres

TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nprice = { input = 1, output = 2 }\n'
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
CHAT = "/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with run_postgres() as server:
        yield server


async def wait_for_requests(gateway: RunningGateway, key_id: str, count: int) -> dict[str, Any]:
    """The key once the store has so many of its requests."""
    deadline = time.monotonic() + 20
    while (shown := keys(gateway, "show", key_id))["requests"] < count:
        assert time.monotonic() < deadline, shown
        await asyncio.sleep(0.1)
    return shown


async def test_its_life(
    server: PostgresServer, start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    url = await server.make_database()
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, store_url=url)
    key = gateway.create_key(budget_usd="1")
    status, answer = gateway.fetch(CHAT, secret=key.secret, body=BODY)
    assert status == 200, answer
    spent = gateway.key_state(key.secret)["budget"]["spent_usd"]
    assert float(spent) > 0

    await wait_for_requests(gateway, key.id, 1)

    # The process dies: what it had spent is known to the next one.
    gateway.restart()
    assert gateway.key_state(key.secret)["budget"]["spent_usd"] == spent

    # The store goes away: keys go on from memory, and the books wait in the spool.
    server.kill()
    for _ in range(3):
        assert gateway.fetch(CHAT, secret=key.secret, body=BODY)[0] == 200
    server.start()
    shown = await wait_for_requests(gateway, key.id, 4)
    assert float(shown["spent_usd"]) == pytest.approx(4 * float(spent))

    # A change is live at once.
    keys(gateway, "deactivate", key.id)
    deadline = time.monotonic() + 5
    while gateway.fetch(CHAT, secret=key.secret, body=BODY)[0] != 401:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert "Traceback" not in gateway.log_text()


async def test_a_second_gateway_is_refused(
    server: PostgresServer, start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    url = await server.make_database()
    tables = provider_toml(fake_provider.base_url) + TABLES
    start_gateway(tables, store_url=url)
    with pytest.raises(RuntimeError, match=r"pepper|live on this store"):
        start_gateway(tables, store_url=url)
