import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_proxy.storage import sqlite
from gateway_proxy.storage.database import NumberTooLarge, StoreConflict, StoreError
from gateway_proxy.storage.sqlite import SqliteDatabase


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    db = await SqliteDatabase.open(tmp_path / "a.db")
    await db.execute("CREATE TABLE schema_migrations (version BIGINT)")
    await db.execute("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, name TEXT)")
    yield db
    await db.close()


async def test_placeholders_are_bound_by_their_number(db: SqliteDatabase) -> None:
    assert await db.fetch("SELECT $2, $1, $2", "one", "two") == [("two", "one", "two")]
    assert await db.fetch_one("SELECT $1 WHERE 1 = 0", "x") is None
    assert await db.execute("INSERT INTO t (name, id) VALUES ($2, $1)", 7, "seven") == 1
    assert await db.fetch_one("SELECT id, name FROM t") == (7, "seven")


async def test_insert_many_counts_what_it_touched(db: SqliteDatabase) -> None:
    rows = [(number, str(number)) for number in range(60)]
    assert await db.insert_many("t", ("id", "name"), iter(rows)) == 60
    assert await db.insert_many("t", ("id", "name"), [*rows, (60, "60")], "ON CONFLICT DO NOTHING") == 1
    assert await db.fetch_one("SELECT COUNT(*), MAX(id) FROM t") == (61, 60)
    assert await db.insert_many("t", ("id", "name"), []) == 0
    alike = [(number,) for number in range(50, 200)]
    assert await db.insert_many("t", ("name", "id"), alike, "ON CONFLICT DO NOTHING", ("same",)) == 139
    assert await db.fetch_one("SELECT COUNT(*), MIN(id) FROM t WHERE name = 'same'") == (139, 61)


async def test_a_failed_statement_undoes_its_transaction_and_the_next_one_works(db: SqliteDatabase) -> None:
    async def insert_twice() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t (id) VALUES (1)")
            await tx.execute("INSERT INTO t (id) VALUES (1)")

    with pytest.raises(StoreConflict):
        await insert_twice()
    assert await db.execute("INSERT INTO t (id) VALUES (1)") == 1


async def test_a_number_beyond_64_bits_is_refused(db: SqliteDatabase) -> None:
    with pytest.raises(NumberTooLarge):
        await db.execute("INSERT INTO t (id) VALUES ($1)", 2**63)


async def test_reading_outside_a_transaction_cannot_write(db: SqliteDatabase) -> None:
    with pytest.raises(StoreError):
        await db.fetch("INSERT INTO t (id) VALUES (1) RETURNING id")


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(db: SqliteDatabase) -> None:
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


async def test_cancelling_never_mixes_answers(db: SqliteDatabase) -> None:
    wrong: list[tuple[object, int]] = []

    async def ask(tag: int) -> None:
        if tag % 3:
            row = await db.fetch_one("SELECT $1", tag)
        else:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t (id) VALUES ($1)", tag)
                row = await tx.fetch_one("SELECT $1", tag)
        if row != (tag,):
            wrong.append((row, tag))

    for start in range(0, 600, 60):
        tasks = [asyncio.ensure_future(ask(tag)) for tag in range(start, start + 60)]
        for turn, task in enumerate(tasks):
            if turn % 2:
                await asyncio.sleep(0)
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert wrong == []
    kept = await db.fetch("SELECT id FROM t WHERE id % 6 = 0")
    assert len(kept) == 100
    assert await db.execute("DELETE FROM t") >= 100


async def test_a_reader_does_not_wait_for_a_writer(db: SqliteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO t (id) VALUES (1)")
        assert await db.fetch("SELECT id FROM t") == []
    assert await db.fetch("SELECT id FROM t") == [(1,)]


async def test_poll_answers_only_after_a_commit_by_anybody(db: SqliteDatabase) -> None:
    count = "SELECT COUNT(*) FROM t"
    assert await db.poll(count) == (0,)
    assert await db.poll(count) is None
    await db.execute("INSERT INTO t (id) VALUES (1)")
    assert await db.poll(count) == (1,)
    assert await db.poll(count) is None
    other = sqlite3.connect(db.path)
    other.execute("INSERT INTO t (id) VALUES (2)")
    assert await db.poll(count) is None
    other.commit()
    other.close()
    assert await db.poll(count) == (2,)


async def test_a_file_that_is_moved_or_replaced_is_away_until_it_is_back(db: SqliteDatabase) -> None:
    count, moved = "SELECT COUNT(*) FROM t", db.path.with_name("moved.db")
    db.path.rename(moved)
    for replaced in (False, True):
        if replaced:
            db.path.touch()
        with pytest.raises(StoreError, match=r"a\.db is not the file that was opened"):
            await db.poll(count)
    moved.replace(db.path)
    assert await db.poll(count) == (0,)


async def test_the_file_is_private_and_survives_a_crash_of_the_process(db: SqliteDatabase) -> None:
    for suffix in ("", "-wal", "-shm"):
        assert stat.S_IMODE(os.stat(f"{db.path}{suffix}").st_mode) == 0o600
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1)):
        async with db.transaction() as tx:
            assert await tx.fetch(f"PRAGMA {pragma}") == [(value,)]


async def test_a_lock_held_by_another_process_is_named(
    db: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO t (id) VALUES (1)")
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_MS", 20)
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="is locked: another process"):
        await SqliteDatabase.open(db.path)
    other.execute("ROLLBACK")
    other.close()
    await (await SqliteDatabase.open(db.path)).close()


async def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes. " * 200)
    with pytest.raises(StoreError, match=r"notes\.txt is not an SQLite database"):
        await SqliteDatabase.open(path)
    assert path.read_text() == "These are my notes. " * 200


async def test_the_files_of_others_keep_their_journal_mode(tmp_path: Path) -> None:
    theirs = sqlite3.connect(tmp_path / "theirs.db")
    theirs.execute("CREATE TABLE songs (name)")
    theirs.close()
    await (await SqliteDatabase.open(tmp_path / "theirs.db")).close()
    theirs = sqlite3.connect(tmp_path / "theirs.db")
    assert theirs.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    theirs.close()


async def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the folder .*nowhere does not exist"):
        await SqliteDatabase.open(tmp_path / "nowhere" / "a.db")
    with pytest.raises(StoreError, match="is a folder"):
        await SqliteDatabase.open(tmp_path)
    with pytest.raises(StoreError, match="there is no store at"):
        await SqliteDatabase.open(tmp_path / "missing.db", create=False)
    assert list(tmp_path.iterdir()) == []


async def test_names_with_special_characters_open(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20 d.db"
    await (await SqliteDatabase.open(path)).close()
    assert path.exists()


async def test_closing_finishes_what_was_submitted_and_ends_the_threads(tmp_path: Path) -> None:
    db = await SqliteDatabase.open(tmp_path / "a.db")
    await db.execute("CREATE TABLE t (id BIGINT)")
    task = asyncio.ensure_future(db.execute("INSERT INTO t (id) VALUES (1)"))
    await task
    await db.close()
    await db.close()
    with pytest.raises(StoreError, match="closed"):
        await db.fetch("SELECT 1")
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite-")]
    assert names == []
    assert not (tmp_path / "a.db-wal").exists()
