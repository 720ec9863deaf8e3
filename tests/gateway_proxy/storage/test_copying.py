"""A copy has every row of every table, can be stopped anywhere, and is refused where it would lose or mix anything."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway_proxy.storage import Store, StoreError, copying, open_database, open_store
from gateway_proxy.storage.copying import Copied, copy_store
from gateway_proxy.storage.database import Database
from gateway_proxy.storage.shapes import list_tables
from tests.support.stores import DATABASES

pytestmark = pytest.mark.slow
ROWS = 23
NOW_MS = 1_790_000_000_000


class Killed(Exception):
    pass


async def fill(db: Database, rows: int = ROWS) -> None:
    """So many rows in every table there is, whatever its columns mean."""
    for table in await list_tables(db, db.dialect):
        if table.name == "meta":
            continue
        await db.insert_many(
            table.name,
            table.columns,
            [[n if column in table.numbers else f"v{n}" for column in table.columns] for n in range(rows)],
        )
    await db.execute("UPDATE counters SET value = 77 WHERE name = 'changes'")
    await db.execute("INSERT INTO meta (name, value) VALUES ('pepper_id', 'p')")


async def read_all(db: Database) -> dict[str, list[tuple[object, ...]]]:
    tables = {table.name: table for table in await list_tables(db, db.dialect)}
    return {
        name: await db.fetch(f"SELECT * FROM {name} ORDER BY {', '.join(table.key)}")
        for name, table in tables.items()
    }


def ignore(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_ROWS", 10)


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path}/source.db", migrate=True)
    await fill(store.db)
    yield store
    await store.close()


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Database]:
    db = await open_database(f"sqlite:{tmp_path}/there.db")
    yield db
    await db.close()


async def copy(source: Store, there: Database, progress: Callable[[str, int, int], None] = ignore) -> Copied:
    return await copy_store(source.db, there, progress)


@pytest.mark.parametrize("store_url", DATABASES, indirect=True)
async def test_every_row_of_every_table_there_and_back(
    source: Store, store: Store, tmp_path: Path, store_url: str
) -> None:
    copied = await copy(source, store.db)
    everything = await read_all(source.db)
    assert await read_all(store.db) == everything
    assert set(copied.rows) | {"meta"} == set(everything)
    assert copied.copied == sum(copied.rows.values()) > ROWS * 20
    assert copied.charged_nanos == sum(range(ROWS))
    back = await open_database(f"sqlite:{tmp_path}/back.db")
    await copy(store, back)
    assert await read_all(back) == everything
    await back.close()


@pytest.mark.parametrize("store_url", DATABASES, indirect=True)
async def test_killed_again_and_again_it_goes_on_where_it_was(
    source: Store, store: Store, store_url: str
) -> None:
    ends = iter(range(7, 10_000, 41))
    end = next(ends)

    def die_soon(what: str, done: int, total: int) -> None:
        nonlocal end
        if what == "copy" and done > end:
            while end < done:
                end = next(ends)
            raise Killed

    runs = 0
    while True:
        runs += 1
        try:
            last = await copy(source, store.db, die_soon)
        except Killed:
            with pytest.raises(StoreError, match="unfinished copy"):
                await open_store(store_url)
        else:
            break
    assert runs > 10
    assert last.resumed
    assert last.copied < 100
    assert await read_all(store.db) == await read_all(source.db)
    await (await open_store(store_url)).close()


async def test_what_changed_in_between_makes_it_begin_anew(source: Store, there: Database) -> None:
    def die(what: str, done: int, total: int) -> None:
        if done > total / 2:
            raise Killed

    with pytest.raises(Killed):
        await copy(source, there, die)
    await source.db.execute("DELETE FROM keys WHERE id = 'v3'")
    await source.db.execute("UPDATE counters SET value = value + 1 WHERE name = 'changes'")
    copied = await copy(source, there)
    assert not copied.resumed
    assert await read_all(there) == await read_all(source.db)


async def test_a_silent_difference_is_found_and_healed_by_the_next_run(
    source: Store, there: Database
) -> None:
    tampered = False

    def tamper(what: str, done: int, total: int) -> None:
        nonlocal tampered
        tampered = tampered or done == total

    with pytest.raises(Killed):
        await copy(source, there, _die_when_full)
    await there.execute("UPDATE ledger SET charged_nanos = charged_nanos + 1 WHERE request_id = 'v5'")
    with pytest.raises(StoreError, match=r"differ in ledger \(23 rows there, 23 in the copy\).*begins anew"):
        await copy(source, there, tamper)
    await copy(source, there)
    assert await read_all(there) == await read_all(source.db)


def _die_when_full(what: str, done: int, total: int) -> None:
    if what == "copy" and done == total:
        raise Killed


async def test_money_of_two_keys_that_is_exchanged_is_a_difference(source: Store, there: Database) -> None:
    await copy(source, there)
    await there.execute(
        "UPDATE ledger SET charged_nanos = 11 - charged_nanos WHERE request_id IN ('v5', 'v6')"
    )
    with pytest.raises(StoreError, match="differ in ledger"):
        await copy(source, there)


async def test_again_is_nothing_to_do_until_the_copy_is_used(source: Store, there: Database) -> None:
    assert (await copy(source, there)).copied > 0
    assert (await copy(source, there)).copied == 0
    await there.execute("DELETE FROM sessions WHERE digest = 'v1'")
    with pytest.raises(StoreError, match=r"differ in sessions .* has been used since"):
        await copy(source, there)
    assert await there.fetch_one("SELECT COUNT(*) FROM sessions") == (ROWS - 1,)


async def test_a_store_with_anything_in_it_is_refused(source: Store, tmp_path: Path) -> None:
    other = await open_store(f"sqlite:{tmp_path}/other.db", migrate=True)
    await other.registry.ensure_organization()
    with pytest.raises(StoreError, match=r"not empty .*organizations.*nothing was changed"):
        await copy(source, other.db)
    await other.close()


async def test_the_unfinished_copy_of_another_store_is_refused(
    source: Store, there: Database, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        await copy(source, there, _die_when_full)
    other = await open_store(f"sqlite:{tmp_path}/other.db", migrate=True)
    with pytest.raises(StoreError, match="unfinished copy of another store"):
        await copy(other, there)
    await other.close()


@pytest.mark.parametrize("which", ["from", "to"])
async def test_a_store_that_a_gateway_serves_is_refused(source: Store, tmp_path: Path, which: str) -> None:
    other = await open_store(f"sqlite:{tmp_path}/other.db", migrate=True)
    busy = source if which == "from" else other
    await busy.db.execute(
        "INSERT INTO gateways (id, name, organization, version, started_at, last_seen_at, applied_seq, config_digest, audit_head)"
        " VALUES ('gtw_1', 'eu-1', 'default', '1', 0, 9000000000000, 0, '', '')"
    )
    with pytest.raises(StoreError, match=f'"eu-1", gtw_1\\) serves the store to copy {which}: stop it first'):
        await copy(source, other.db)
    await other.close()


async def test_a_demo_is_refused(source: Store, there: Database) -> None:
    await source.registry.mark_demo()
    with pytest.raises(StoreError, match="demo"):
        await copy(source, there)
