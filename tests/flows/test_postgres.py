"""A gateway whose store is a PostgreSQL server: the same life as on the embedded one, and a server that goes away."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.core.money import parse_usd
from gateway_proxy.storage import open_database
from gateway_proxy.storage.migrations import load_migrations, migrate, sql_folder
from tests.support.command_line import keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.waiting import wait_until

TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nprice = { input = 1, output = 2 }\n'
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
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
    wait_until(lambda: gateway.fetch(CHAT, secret=key.secret, body=BODY)[0] == 401, 5)
    assert "Traceback" not in gateway.log_text()


# What a next version may do to the schema: new columns, tables, indexes.
NEXT_VERSION = """
ALTER TABLE keys ADD COLUMN next_text TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN next_number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE request_log ADD COLUMN next_number BIGINT;
CREATE INDEX keys_by_next_text ON keys (next_text);
CREATE TABLE next_table (id TEXT NOT NULL PRIMARY KEY);
"""


async def test_a_newer_version_migrates_the_store_while_this_one_runs(
    server: PostgresServer,
    start_gateway: Callable[..., RunningGateway],
    fake_provider: FakeProvider,
    tmp_path: Path,
) -> None:
    url = await server.make_database()
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, store_url=url)
    key = gateway.create_key(budget_usd="1")
    assert gateway.fetch(CHAT, secret=key.secret, body=BODY)[0] == 200

    folder = tmp_path / "sql"
    shutil.copytree(sql_folder(), folder)
    known = len(load_migrations("postgres"))
    (folder / f"{known + 1:04d}_next.sql").write_text(NEXT_VERSION)
    newer = await open_database(url)
    assert await migrate(newer, folder) == [f"{known + 1:04d}_next"]

    # This version goes on: books, new keys, and a start with a spool that is not empty.
    for secret in (key.secret, gateway.create_key().secret):
        assert gateway.fetch(CHAT, secret=secret, body=BODY)[0] == 200
    await wait_for_requests(gateway, key.id, 2)
    assert gateway.fetch(CHAT, secret=key.secret, body=BODY)[0] == 200
    gateway.restart()
    shown = keys(gateway, "show", key.id)
    assert gateway.fetch("/api/v1/keys", secret=gateway.admin_token())[0] == 200
    [(rows, charged)] = await newer.fetch(
        "SELECT COUNT(*), CAST(SUM(charged_nanos) AS BIGINT) FROM ledger WHERE key_id = $1 AND next_number = 0",
        key.id,
    )
    assert (rows, charged) == (3, parse_usd(shown["spent_usd"]))
    await newer.close()
    assert "ERROR" not in gateway.log_text()
    assert "Traceback" not in gateway.log_text()


async def test_a_second_gateway_is_refused(
    server: PostgresServer, start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    url = await server.make_database()
    tables = provider_toml(fake_provider.base_url) + TABLES
    start_gateway(tables, store_url=url)
    with pytest.raises(RuntimeError, match=r"pepper|live on this store"):
        start_gateway(tables, store_url=url)
