"""From the embedded store to a server: the same key works there, and neither spend nor history is lost."""

import json
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from tests.support.command_line import command, keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.waiting import wait_until

TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nprice = { input = 1, output = 2 }\n'
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
CHAT = "/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with run_postgres() as server:
        yield server


async def test_a_gateway_moves(
    server: PostgresServer, start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    tables = provider_toml(fake_provider.base_url) + TABLES
    gateway = start_gateway(tables)
    key = gateway.create_key(budget_usd="1")
    for _ in range(3):
        assert gateway.fetch(CHAT, secret=key.secret, body=BODY)[0] == 200
    here, there = f"sqlite:{gateway.store_path}", await server.make_database()
    refused = command("store", "copy", "--from", here, "--to", there)
    assert refused.code == 1
    assert "stop it first" in refused.err
    state = gateway.key_state(key.secret)
    wait_until(lambda: keys(gateway, "show", key.id)["requests"] == 3)  # the log is no part of the books
    # Killed: the last of the books are in the spool, which goes with the gateway.
    gateway.kill()
    _age_gateways(gateway)
    shown = keys(gateway, "show", key.id)

    copied = command("store", "copy", "--from", here, "--to", there, "--json")
    assert copied.code == 0, copied.err
    assert json.loads(copied.out)["tables"]["keys"] == 1

    gateway.use_store(tables, there)
    gateway.start()
    assert gateway.key_state(key.secret)["budget"] == state["budget"]
    assert gateway.fetch(CHAT, secret=key.secret, body=BODY)[0] == 200
    assert keys(gateway, "show", key.id)["created_at"] == shown["created_at"]
    gateway.stop()
    report = command("logs", "-c", str(gateway.config_path), "--json", "--limit", "10")
    assert report.code == 0, report.err
    assert len([line for line in report.out.splitlines() if key.id in line]) >= 1
    after = keys(gateway, "show", key.id)
    assert after["requests"] == 4
    assert float(after["spent_usd"]) == pytest.approx(float(state["budget"]["spent_usd"]) * 4 / 3)


def _age_gateways(gateway: RunningGateway) -> None:
    """As if fifteen seconds had passed since it was killed."""
    with sqlite3.connect(gateway.store_path) as connection:
        connection.execute("UPDATE gateways SET last_seen_at = 0")
    connection.close()
