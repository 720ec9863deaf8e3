"""PostgreSQL as a `Database`, on a real server that is also stopped, stalled and brought back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from gateway_proxy.storage import migrations, open_store
from gateway_proxy.storage.database import NumberTooLarge, StoreConflict, StoreError
from gateway_proxy.storage.postgres import PostgresDatabase
from tests.support.cancelling import cancel_at_random
from tests.support.postgres import PostgresServer, run_postgres

pytestmark = pytest.mark.slow


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    url = await postgres.make_database()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, name TEXT)")
    await connection.close()
    return url


@pytest.fixture
async def db(url: str) -> AsyncIterator[PostgresDatabase]:
    db = await PostgresDatabase.open(url)
    yield db
    await db.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """One that may be killed."""
    with run_postgres() as server:
        yield server


async def test_insert_many_counts_what_it_touched(db: PostgresDatabase) -> None:
    rows = [(number, str(number)) for number in range(60)]
    assert await db.insert_many("t", ("id", "name"), iter(rows)) == 60
    assert await db.insert_many("t", ("id", "name"), [*rows, (60, "60")], "ON CONFLICT DO NOTHING") == 1
    assert await db.fetch_one("SELECT COUNT(*), MAX(id) FROM t") == (61, 60)
    assert await db.insert_many("t", ("id", "name"), []) == 0
    alike = [(number,) for number in range(50, 200)]
    assert await db.insert_many("t", ("name", "id"), alike, "ON CONFLICT DO NOTHING", ("same",)) == 139
    assert await db.fetch_one("SELECT COUNT(*), MIN(id) FROM t WHERE name = 'same'") == (139, 61)


async def test_a_failed_statement_undoes_its_transaction_and_the_next_one_works(db: PostgresDatabase) -> None:
    async def insert_twice() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t (id) VALUES (1)")
            await tx.execute("INSERT INTO t (id) VALUES (1)")

    with pytest.raises(StoreConflict):
        await insert_twice()
    assert await db.execute("INSERT INTO t (id) VALUES (1)") == 1


async def test_a_number_beyond_64_bits_is_refused(db: PostgresDatabase) -> None:
    with pytest.raises(NumberTooLarge):
        await db.execute("INSERT INTO t (id) VALUES ($1)", 2**63)
    with pytest.raises(NumberTooLarge):
        await db.insert_many("t", ("id", "name"), [(2**63, "x")])


async def test_a_text_with_a_nul_is_kept_without_it(db: PostgresDatabase) -> None:
    await db.insert_many("t", ("id", "name"), [(1, "a\x00b")])
    assert await db.fetch("SELECT name FROM t WHERE name = $1", "a\x00b") == [("a\ufffdb",)]


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(db: PostgresDatabase) -> None:
    entered = asyncio.Event()

    async def hang() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t (id) VALUES (1)")
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(hang())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await db.execute("INSERT INTO t (id) VALUES (1)") == 1


async def test_cancelling_never_mixes_answers(db: PostgresDatabase) -> None:
    """`./run soak cancels` does it 10,000 times."""

    async def ask(tag: int) -> object:
        if tag % 3:
            row = await db.fetch_one("SELECT $1::bigint", tag)
        else:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t (id) VALUES ($1)", tag)
                row = await tx.fetch_one("SELECT $1::bigint", tag)
                begun.append(tag)
            kept.append(tag)
        assert row is not None
        return row[0]

    begun: list[int] = []
    kept: list[int] = []
    mixed, cancelled = await cancel_at_random(ask, 180, turns=20)
    assert mixed == 0 and cancelled > 45
    # What was given up during its commit may be there or not.
    found = {row[0] for row in await db.fetch("SELECT id FROM t")}
    assert set(kept) <= found <= set(begun) and len(kept) > 15


async def test_transactions_of_several_processes_take_turns(db: PostgresDatabase, url: str) -> None:
    others = [await PostgresDatabase.open(url) for _ in range(2)]
    await db.execute("INSERT INTO t (id, name) VALUES (1, '0')")

    async def count_up(own: PostgresDatabase) -> None:
        for _ in range(20):
            async with own.transaction() as tx:
                row = await tx.fetch_one("SELECT name FROM t WHERE id = 1")
                assert row is not None
                await tx.execute("UPDATE t SET name = $1 WHERE id = 1", str(int(row[0]) + 1))

    await asyncio.gather(*map(count_up, [db, *others]))
    assert await db.fetch_one("SELECT name FROM t") == ("60",)
    for other in others:
        await other.close()


async def test_what_another_one_announces_is_heard_at_once(db: PostgresDatabase, url: str) -> None:
    count = "SELECT COUNT(*) FROM t"
    assert await db.poll(count) == (0,)
    assert await db.poll(count) is None
    other = await PostgresDatabase.open(url)
    async with other.transaction() as tx:
        await tx.execute("INSERT INTO t (id) VALUES (1)")
        await tx.announce()
    started = time.monotonic()
    while (row := await db.poll(count)) is None:
        await asyncio.sleep(0.01)
    assert row == (1,)
    assert time.monotonic() - started < 5
    await other.close()


async def test_what_nobody_announced_is_found_all_the_same(db: PostgresDatabase) -> None:
    count = "SELECT COUNT(*) FROM t"
    assert await db.poll(count) == (0,)
    await db.execute("INSERT INTO t (id) VALUES (1)")
    while (row := await db.poll(count)) is None:
        await asyncio.sleep(0.05)
    assert row == (1,)


async def test_a_server_that_dies_and_comes_back(own_server: PostgresServer) -> None:
    db = await PostgresDatabase.open(await own_server.make_database())
    await db.execute("CREATE TABLE t (id BIGINT)")
    assert await db.poll("SELECT COUNT(*) FROM t") == (0,)
    own_server.kill()
    with pytest.raises(StoreError):
        await db.fetch("SELECT 1")
    with pytest.raises(StoreError):
        await db.execute("INSERT INTO t (id) VALUES (1)")
    own_server.start()
    assert await db.fetch("SELECT id FROM t") == []
    assert await db.execute("INSERT INTO t (id) VALUES (1)") == 1
    while await _count(db) != (1,):
        await db.wait_for_news()
    await db.close()
    await db.close()


async def _count(db: PostgresDatabase) -> tuple[object, ...] | None:
    try:
        return await db.poll("SELECT COUNT(*) FROM t")
    except StoreError:
        return None


async def test_the_password_is_in_no_error(postgres: PostgresServer) -> None:
    url = postgres.url("nothing_here").replace("gateway@", "gateway:hunter2@")
    with pytest.raises(StoreError, match="does not exist; make it") as refused:
        await PostgresDatabase.open(url)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(StoreError, match="cannot be reached") as refused:
        await PostgresDatabase.open("postgresql://gateway:hunter2@127.0.0.1:9/x")
    assert "hunter2" not in str(refused.value)


async def test_gateways_that_start_at_once_migrate_once(postgres: PostgresServer) -> None:
    url = await postgres.make_database()
    stores = await asyncio.gather(*(open_store(url, migrate=True) for _ in range(3)))
    assert {await migrations.schema_version(store.db) for store in stores} == {
        len(migrations.load_migrations("postgres"))
    }
    for store in stores:
        await store.close()


async def test_a_database_of_something_else_is_left_alone(url: str) -> None:
    with pytest.raises(StoreError, match="belongs to something else"):
        await open_store(url, migrate=True)
