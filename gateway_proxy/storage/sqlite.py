"""SQLite behind the `Database` interface: one thread owns the only connection that writes, others read.

Jobs are done in the order of submission, and an answer belongs to the future it was asked for. So cancelling a
waiting task cannot mix answers, and a rollback submitted after it always comes next.

WAL with synchronous=NORMAL: a commit survives a crash of the process; power loss may take the last commits, never
the file's integrity (https://www.sqlite.org/pragma.html#pragma_synchronous). The books are in the spool as well.
"""

import asyncio
import os
import re
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from gateway_proxy.storage.database import AutoCommit, Row, Statements, StoreError
from gateway_proxy.storage.sqlite_errors import explain
from gateway_proxy.storage.worker import JobQueue, Worker

T = TypeVar("T")
POLL_SECONDS = 0.1
_BUSY_TIMEOUT_MS = 5000
_READERS = 2
# Each step of a statement gives up the interpreter lock, and under load each return to it waits for the event loop.
# Many rows in one statement make that rare. Always a power of two, so that the same few statements come back and are
# compiled once.
_ROWS_PER_INSERT = 64
_CACHED_STATEMENTS = 512
_PLACEHOLDER = re.compile(r"\$(\d+)")


@lru_cache(maxsize=512)
def _translate(sql: str) -> tuple[str, tuple[int, ...] | None]:
    """`$n` as `?`, and the order of the arguments, None where it is theirs already."""
    order = tuple(int(number) - 1 for number in _PLACEHOLDER.findall(sql))
    return _PLACEHOLDER.sub("?", sql), None if order == tuple(range(len(order))) else order


@lru_cache(maxsize=512)
def _insert_statement(table: str, columns: tuple[str, ...], shared: int, rows: int, conflict: str) -> str:
    own = len(columns) - shared
    values = f"VALUES {', '.join([f'({_marks(own)})'] * rows)}"
    if shared:
        read = ", ".join(f"column{n}" for n in range(1, own + 1))
        # WHERE: else ON would be read as a join's (https://www.sqlite.org/lang_upsert.html#parsing_ambiguity).
        values = f"SELECT {_marks(shared)}, {read} FROM ({values}) WHERE true"  # noqa: S608
    return f"INSERT INTO {table} ({', '.join(columns)}) {values} {conflict}"


def _marks(count: int) -> str:
    return ", ".join("?" * count)


class _Statements:
    """Statements handed to one job queue."""

    def __init__(self, jobs: JobQueue[sqlite3.Connection], path: Path) -> None:
        self._jobs = jobs
        self._path = path

    async def _do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._jobs.do(job)
        except (sqlite3.Error, OverflowError) as error:
            raise explain(error, self._path) from error

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        text, order = _translate(sql)
        values = args if order is None else tuple(args[i] for i in order)
        return await self._do(lambda connection: connection.execute(text, values).fetchall())

    async def fetch_one(self, sql: str, *args: Any) -> Row | None:
        rows = await self.fetch(sql, *args)
        return rows[0] if rows else None

    async def execute(self, sql: str, *args: Any) -> int:
        text, order = _translate(sql)
        values = args if order is None else tuple(args[i] for i in order)
        return await self._do(lambda connection: connection.execute(text, values).rowcount)

    async def insert_many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        conflict: str = "",
        shared: Sequence[Any] = (),
    ) -> int:
        names, common = tuple(columns), tuple(shared)

        def job(connection: sqlite3.Connection) -> int:
            touched, start, source = 0, 0, list(rows)
            while left := len(source) - start:
                count = min(_ROWS_PER_INSERT, 1 << (left.bit_length() - 1))
                text = _insert_statement(table, names, len(common), count, conflict)
                values = (*common, *chain.from_iterable(source[start : start + count]))
                touched += connection.execute(text, values).rowcount
                start += count
            return touched

        return await self._do(job)

    async def announce(self) -> None:
        """Nothing to do: whoever polls sees the file's version."""


class SqliteDatabase(AutoCommit):
    """One SQLite file. Open it with `SqliteDatabase.open`."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._turn = asyncio.Lock()
        self._writes: JobQueue[sqlite3.Connection] = JobQueue()
        self._reads: JobQueue[sqlite3.Connection] = JobQueue()
        self._polls: JobQueue[sqlite3.Connection] = JobQueue()
        self._writing = _Statements(self._writes, path)
        self._reading = _Statements(self._reads, path)
        self._workers: list[Worker[sqlite3.Connection]] = []
        self._data_version = -1
        self._file = _identify(path)

    @classmethod
    async def open(cls, path: Path, *, create: bool = True) -> "SqliteDatabase":
        """Open the file, or make it (mode 0600). Raises `StoreError`."""
        _prepare_file(path, create)
        database = cls(path)
        try:
            for jobs, role in (
                (database._writes, "writer"),
                *((database._reads, f"reader-{n}") for n in range(_READERS)),
                (database._polls, "poll"),
            ):
                connection = await asyncio.to_thread(_connect, path, writes=role == "writer")
                worker = Worker(jobs, connection, f"sqlite-{role}", _close)
                worker.start()
                database._workers.append(worker)
        except BaseException as error:
            await database.close()
            if isinstance(error, sqlite3.Error):
                raise explain(error, path) from error
            raise
        return database

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        return await self._reading.fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: Any) -> Row | None:
        return await self._reading.fetch_one(sql, *args)

    async def announce(self) -> None:
        """Nothing to do: whoever polls sees the file's version."""

    @asynccontextmanager
    async def transaction(self, *, exclusive: bool = False) -> AsyncIterator[Statements]:
        begin = "BEGIN EXCLUSIVE" if exclusive else "BEGIN IMMEDIATE"
        async with self._turn:
            try:
                await self._writing.execute(begin)
                yield self._writing
                await self._writing._do(_commit)
            except BaseException:
                # Not awaited, since this task may be cancelled again: the queue keeps the order, so the rollback
                # is done before whatever the next transaction submits.
                self._writes.submit(_roll_back)
                raise

    async def poll(self, sql: str) -> Row | None:
        def job(connection: sqlite3.Connection) -> Row | None:
            if _identify(self.path) != self._file:
                raise StoreError(
                    f"{self.path} is not the file that was opened: it was moved or replaced; put it back, or restart"
                )
            # Read before the query: what is committed in between is seen now and asked for once more, never missed.
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._data_version:
                return None
            row: Row | None = connection.execute(sql).fetchone()
            self._data_version = version
            return row

        try:
            return await self._polls.do(job)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    async def wait_for_news(self) -> None:
        await asyncio.sleep(POLL_SECONDS)

    def silence_seconds(self) -> float:
        return 0.0

    async def tables(self) -> set[str]:
        rows = await self.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}

    async def close(self) -> None:
        workers, self._workers = self._workers, []
        # One after the other, who writes last: of two that close at once neither empties the write-ahead log.
        for jobs in (self._reads, self._polls, self._writes):
            mine = [worker for worker in workers if worker.jobs is jobs]
            jobs.close(len(mine))
            for worker in mine:
                await asyncio.to_thread(worker.join)


def _prepare_file(path: Path, create: bool) -> None:
    if path.is_dir():
        raise StoreError(f"cannot open the store {path}: it is a folder; name a file in [storage] url")
    if path.exists():
        return
    if not create:
        raise StoreError(f"there is no store at {path}; `gateway-proxy migrate` or `serve` creates it")
    if not path.parent.is_dir():
        raise StoreError(
            f"cannot create the store {path}: the folder {path.parent} does not exist; "
            "create it, or change [storage] url"
        )
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise StoreError(f"cannot create the store {path}: {error.strerror}") from error


def _identify(path: Path) -> tuple[int, int] | None:
    """What tells a file from every other one; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path, *, writes: bool) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=_CACHED_STATEMENTS
    )
    try:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        if writes:
            # Fails here, not at the first request, if the file is no database or cannot be written.
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if not tables or "schema_migrations" in tables:  # else somebody else's: migrate() will say so
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            # Pages that every batch touches are copied back four times less often than by default.
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            # More would only fill with rows just written: as fast at 400,000 rows, and resident for good.
            connection.execute("PRAGMA cache_size = -4000")
        else:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA cache_size = -16000")
    except BaseException:
        connection.close()
        raise
    return connection


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _close(connection: sqlite3.Connection) -> None:
    _roll_back(connection)
    connection.close()
