"""PostgreSQL behind the `Database` interface: a few connections, and one that listens for changes.

Transactions are done one after the other, whoever asks, under an advisory lock: what is read in one stays true until
it commits, as on SQLite, and every batch of the books is short. A client that dies or stalls inside of one loses it
after `_STALL_SECONDS`. Read committed is enough under that lock: each statement sees all that was committed before it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakSet

import asyncpg

from gateway_proxy.core.tasks import wait_for_event
from gateway_proxy.storage.database import AutoCommit, Row, Statements, StoreError, StoreUnreachable
from gateway_proxy.storage.postgres_errors import explain
from gateway_proxy.storage.postgres_watch import ASK_AGAIN_SECONDS, CHANNEL, Watch

_TURN = 0x67777031  # "gwp1": who writes
_CONNECT_SECONDS = 5.0
_AWAY_SECONDS = 1.0  # while the server is known to be away
_COMMAND_SECONDS = 30.0
_STALL_SECONDS = 10
_MOST_CONNECTIONS = 6
_FAULTS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that the server ended between two statements
    OSError,
    TimeoutError,
    ValueError,
)
Connection = Any  # asyncpg brings no types


def _count(status: str) -> int:
    """`INSERT 0 3` → 3; 0 for a statement that touches no rows."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0


def _clean(value: Any) -> Any:
    """PostgreSQL's text has no NUL, which a client may well send us: https://www.postgresql.org/docs/current/datatype-character.html."""
    if type(value) is str and "\x00" in value:
        return value.replace("\x00", "\ufffd")
    return value


class _Statements:
    """Statements on one connection."""

    def __init__(self, database: "PostgresDatabase", connection: Connection) -> None:
        self._database = database
        self._connection = connection

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        with self._database.explaining():
            return [tuple(row) for row in await self._connection.fetch(sql, *map(_clean, args))]

    async def fetch_one(self, sql: str, *args: Any) -> Row | None:
        with self._database.explaining():
            row = await self._connection.fetchrow(sql, *map(_clean, args))
            return None if row is None else tuple(row)

    async def execute(self, sql: str, *args: Any) -> int:
        with self._database.explaining():
            return _count(await self._connection.execute(sql, *map(_clean, args)))

    async def insert_many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        conflict: str = "",
        shared: Sequence[Any] = (),
    ) -> int:
        source = list(rows)
        if not source:
            return 0
        types = await self._database.column_types(table, self._connection)
        common = columns[: len(shared)]
        own = columns[len(shared) :]
        # A column is one argument, whatever the number of rows: one statement a table, prepared once.
        selected = [f"${n}::{types[name]}" for n, name in enumerate(common, 1)] + [
            f"u.{name}" for name in own
        ]
        arrays = ", ".join(f"${n}::{types[name]}[]" for n, name in enumerate(own, len(common) + 1))
        sql = (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(selected)}"  # noqa: S608
            f" FROM unnest({arrays}) AS u({', '.join(own)}) {conflict}"
        )
        values = [[_clean(value) for value in column] for column in zip(*source, strict=True)]
        return await self.execute(sql, *shared, *values)

    async def announce(self) -> None:
        await self.execute(f"NOTIFY {CHANNEL}")


class PostgresDatabase(AutoCommit):
    """One database on a server. Open it with `PostgresDatabase.open`."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        self._pool: Any = None
        self._url = url
        self.name = _shown(url)
        self._types: dict[str, dict[str, str]] = {}
        self._turn = asyncio.Lock()
        self._opened: WeakSet[Connection] = WeakSet()
        self._watch = Watch(self._connect_apart, self._drop, _FAULTS)

    @classmethod
    async def open(cls, url: str, *, patient: bool = False) -> "PostgresDatabase":
        """Connect. Raises `StoreError`; with `patient` not for a server that cannot be reached."""
        database = cls(url)
        try:
            database._pool = pool = await asyncpg.create_pool(
                url,
                min_size=0,  # else the pool's own attempts to reconnect end as unhandled errors
                max_size=_MOST_CONNECTIONS,
                timeout=_CONNECT_SECONDS,
                command_timeout=_COMMAND_SECONDS,
                max_inactive_connection_lifetime=60.0,
                init=database._remember,
                server_settings={
                    "application_name": "gateway-proxy",
                    "timezone": "UTC",
                    "idle_in_transaction_session_timeout": str(_STALL_SECONDS * 1000),
                    "tcp_user_timeout": str(_STALL_SECONDS * 1000),
                },
            )
            await database.fetch("SELECT 1")
        except _FAULTS as error:
            raise explain(error, _shown(url)) from error
        except StoreError as error:
            if not (patient and isinstance(error, StoreUnreachable)):
                await pool.close()
                raise
        return database

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """What the driver raises comes out as `StoreError`."""
        try:
            yield
        except StoreError:
            raise
        except _FAULTS as error:
            raise explain(error, self.name) from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        with self.explaining():
            patience = _CONNECT_SECONDS if self._watch.error is None else _AWAY_SECONDS
            connection = await self._pool.acquire(timeout=patience)
        try:
            yield connection
        finally:
            await asyncio.shield(self._release(connection))

    async def _release(self, connection: Connection) -> None:
        """A connection that broke is dropped by the pool; its error is seen even if nobody waits any more."""
        with suppress(*_FAULTS):
            await self._pool.release(connection)

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        async with self._connected() as connection:
            return await _Statements(self, connection).fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: Any) -> Row | None:
        async with self._connected() as connection:
            return await _Statements(self, connection).fetch_one(sql, *args)

    async def announce(self) -> None:
        await self.execute(f"NOTIFY {CHANNEL}")

    @asynccontextmanager
    async def transaction(self, *, exclusive: bool = False) -> AsyncIterator[Statements]:
        """Every one is exclusive, whether asked for or not."""
        # This process's own turn first, so that those who wait for it hold no connection.
        async with self._turn, self._connected() as connection:
            with self.explaining():
                transaction = connection.transaction()
                await transaction.start()
            try:
                with self.explaining():
                    await connection.execute(f"SELECT pg_advisory_xact_lock({_TURN})")
                yield _Statements(self, connection)
                with self.explaining():
                    await transaction.commit()
            except BaseException:
                # In a task of its own, since this one may be cancelled again before it is done.
                with suppress(*_FAULTS):
                    await asyncio.shield(_roll_back(transaction, connection))
                raise

    async def poll(self, sql: str) -> Row | None:
        watch = self._watch
        await watch.begin(sql)
        if watch.error is not None:
            raise explain(watch.error, self.name)
        if not watch.news.is_set():
            return None
        watch.news.clear()
        return None if watch.row is None else tuple(watch.row)

    async def wait_for_news(self) -> None:
        watch = self._watch
        if watch.error is not None:
            watch.news.clear()
        await wait_for_event(watch.news, ASK_AGAIN_SECONDS)

    def silence_seconds(self) -> float:
        return self._watch.silence_seconds()

    async def _remember(self, connection: Connection) -> None:
        self._opened.add(connection)

    async def _connect_apart(self) -> Connection:
        return await asyncpg.connect(self._url, timeout=_CONNECT_SECONDS, command_timeout=_COMMAND_SECONDS)

    def _drop(self) -> None:
        """The server is away: what waits for its answer would wait in vain, and what is idle is dead."""
        for connection in list(self._opened):
            connection.terminate()

    async def column_types(self, table: str, connection: Connection) -> dict[str, str]:
        """Column → type of a table, asked for once."""
        types = self._types.get(table)
        if types is None:
            with self.explaining():
                rows = await connection.fetch(
                    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
                    " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
                    table,
                )
            types = self._types[table] = {row[0]: row[1] for row in rows}
        return types

    async def tables(self) -> set[str]:
        rows = await self.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {str(name) for (name,) in rows}

    async def close(self) -> None:
        await self._watch.close()
        try:
            await asyncio.wait_for(self._pool.close(), _STALL_SECONDS)
        except TimeoutError:
            self._pool.terminate()


def _shown(url: str) -> str:
    """Without user and password."""
    parts = urlsplit(url)
    folder = "" if parts.hostname else dict(parse_qsl(parts.query)).get("host", "")
    return f"postgresql://{parts.hostname or ('' if folder else 'localhost')}{parts.path}{folder and f'?host={folder}'}"


async def _roll_back(transaction: Any, connection: Connection) -> None:
    try:
        await transaction.rollback()
    except _FAULTS:
        with suppress(*_FAULTS):  # the pool may have it back already
            connection.terminate()
