import asyncio
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_proxy.storage import Store, StoreError, open_database, open_store
from gateway_proxy.storage.migrations import (
    check_schema,
    load_migrations,
    migrate,
    schema_version,
    split_statements,
    sql_folder,
)
from gateway_proxy.storage.sqlite import SqliteDatabase
from tests.support.postgres import PostgresServer
from tests.support.stores import DATABASES

ONE = "CREATE TABLE one (id BIGINT);\nINSERT INTO one (id) VALUES (1);\n"
TWO = "-- a remark; with a semicolon\nCREATE TABLE two (id BIGINT);\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_one.sql").write_text(ONE)
    (folder / "0002_two.sql").write_text(TWO)
    return folder


@pytest.fixture
async def db(tmp_path: Path):  # type: ignore[no-untyped-def]
    db = await SqliteDatabase.open(tmp_path / "a.db")
    yield db
    await db.close()


async def test_files_are_applied_in_order_and_once(db: SqliteDatabase, folder: Path) -> None:
    assert await schema_version(db) == 0
    assert await migrate(db, folder) == ["0001_one", "0002_two"]
    assert await migrate(db, folder) == []
    assert await schema_version(db) == 2
    assert await db.fetch("SELECT id FROM one") == [(1,)]
    await check_schema(db, folder)


async def test_only_what_is_missing_is_applied(db: SqliteDatabase, folder: Path) -> None:
    await migrate(db, folder)
    (folder / "0003_three.sql").write_text("CREATE TABLE three (id BIGINT);\n")
    with pytest.raises(StoreError, match=r"has schema 2 .* needs 3; run `gateway-proxy migrate`"):
        await check_schema(db, folder)
    assert await migrate(db, folder) == ["0003_three"]


async def test_a_file_that_fails_leaves_nothing_and_can_be_resumed(db: SqliteDatabase, folder: Path) -> None:
    (folder / "0002_two.sql").write_text(
        "CREATE TABLE two (id BIGINT);\nINSERT INTO nowhere (id) VALUES (1);\n"
    )
    with pytest.raises(StoreError, match="nowhere"):
        await migrate(db, folder)
    assert await schema_version(db) == 1
    assert "two" not in await db.tables()
    (folder / "0002_two.sql").write_text(TWO)
    assert await migrate(db, folder) == ["0002_two"]


async def test_an_edited_file_is_refused(db: SqliteDatabase, folder: Path) -> None:
    await migrate(db, folder)
    (folder / "0001_one.sql").write_text(ONE + "\n")
    with pytest.raises(StoreError, match="0001_one was applied with another content"):
        await migrate(db, folder)
    with pytest.raises(StoreError, match="another content"):
        await check_schema(db, folder)


async def test_a_newer_store_is_used_as_it_is(db: SqliteDatabase, folder: Path) -> None:
    await migrate(db, folder)
    (folder / "0002_two.sql").unlink()
    assert await migrate(db, folder) == []
    await check_schema(db, folder)
    assert await schema_version(db) == 2


async def test_a_store_that_broke_with_this_program_is_refused_unchanged(
    db: SqliteDatabase, folder: Path
) -> None:
    (folder / "0003_breaking_names.sql").write_text("ALTER TABLE one RENAME TO eins;\n")
    (folder / "0004_four.sql").write_text("CREATE TABLE four (id BIGINT);\n")
    await migrate(db, folder)
    (folder / "0004_four.sql").unlink()
    assert await migrate(db, folder) == []
    (folder / "0003_breaking_names.sql").unlink()
    for refuse in (migrate, check_schema):
        with pytest.raises(
            StoreError, match=r"newer gateway-proxy \(schema 3, this one knows 2\).*nothing was changed"
        ):
            await refuse(db, folder)
    assert await schema_version(db) == 4


async def test_the_database_of_something_else_is_refused_unchanged(tmp_path: Path) -> None:
    theirs = sqlite3.connect(tmp_path / "theirs.db")
    theirs.execute("CREATE TABLE songs (name)")
    theirs.close()
    before = (tmp_path / "theirs.db").read_bytes()
    with pytest.raises(StoreError, match="belongs to something else"):
        await open_store(f"sqlite:{tmp_path}/theirs.db", migrate=True)
    assert (tmp_path / "theirs.db").read_bytes() == before


@pytest.fixture(params=DATABASES)
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/empty.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return await server.make_database()


async def test_several_starting_at_once_apply_each_file_once(empty_url: str, folder: Path) -> None:
    dbs = [await open_database(empty_url) for _ in range(3)]
    applied = await asyncio.gather(*(migrate(db, folder) for db in dbs))
    assert sorted(name for names in applied for name in names) == ["0001_one", "0002_two"]
    for db in dbs:
        await db.close()


# Dies by SIGKILL after so many statements of all its transactions.
_DYING = """
import asyncio, contextlib, os, signal, sys
from pathlib import Path
from gateway_proxy.storage import open_database
from gateway_proxy.storage.migrations import migrate

class Dying:
    def __init__(self, tx): self._tx = tx
    def __getattr__(self, name): return getattr(self._tx, name)
    async def execute(self, *args):
        global left
        await self._tx.execute(*args)
        left -= 1
        if left == 0: os.kill(os.getpid(), signal.SIGKILL)

async def main():
    db = await open_database(sys.argv[1])
    whole = db.transaction
    @contextlib.asynccontextmanager
    async def transaction(**options):
        async with whole(**options) as tx: yield Dying(tx)
    db.transaction = transaction
    await migrate(db)

left = int(sys.argv[2])
asyncio.run(main())
"""


@pytest.mark.slow
async def test_killed_in_the_middle_it_is_resumed_by_the_next_start(empty_url: str) -> None:
    versions = []
    for statements in (9, 31, 47):
        died = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", _DYING, empty_url, str(statements)], check=False
        )
        assert died.returncode == -signal.SIGKILL
        db = await open_database(empty_url)
        tables = await db.tables()
        versions.append(await schema_version(db))
        await db.close()
        assert ("ledger" in tables) == (versions[-1] >= 2)  # each file is in as a whole, or not at all
    assert versions == sorted(set(versions))
    db = await open_database(empty_url)
    assert len(await migrate(db)) == len(load_migrations(db.dialect)) - versions[-1] > 0
    await check_schema(db)
    await db.close()


def test_numbering_has_no_gaps_and_names_have_a_form(folder: Path) -> None:
    (folder / "0004_four.sql").write_text("SELECT 1;\n")
    with pytest.raises(StoreError, match="not numbered"):
        load_migrations("sqlite", folder)
    (folder / "0004_four.sql").rename(folder / "four.sql")
    with pytest.raises(StoreError, match=r"named 0001_name\.sql"):
        load_migrations("sqlite", folder)


def test_a_dialect_may_have_a_file_of_its_own(folder: Path) -> None:
    (folder / "0003_x.sqlite.sql").write_text("SELECT 'sqlite';\n")
    (folder / "0003_x.postgres.sql").write_text("SELECT 'postgres';\n")
    assert [load_migrations(dialect, folder)[2].text for dialect in ("sqlite", "postgres")] == [
        "SELECT 'sqlite';\n",
        "SELECT 'postgres';\n",
    ]


def test_a_statement_that_does_not_end_is_an_error() -> None:
    assert len(split_statements(ONE)) == 2
    with pytest.raises(StoreError, match="in the middle of a statement"):
        split_statements("CREATE TABLE x (id BIGINT)\n")


def test_the_schema_keeps_to_the_portable_subset() -> None:
    for path in sql_folder().glob("*.sql"):
        code = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("--"))
        for word in (
            "INTEGER",
            "SERIAL",
            "BOOLEAN",
            "JSONB",
            "BLOB",
            "REAL",
            "AUTOINCREMENT",
            "NOW(",
            "CURRENT_",
        ):
            assert word not in code, f"{path.name}: {word}"


async def test_the_product_schema_is_what_open_store_wants(store: Store) -> None:
    assert await schema_version(store.db) == len(load_migrations("sqlite"))
    assert await store.migrate() == []
