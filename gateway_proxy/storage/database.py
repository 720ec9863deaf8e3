"""What the stores ask of a database: statements in the portable subset (sql/README.md), in and out of transactions.

Statements use `$1` placeholders. Rows are tuples in the order of the columns asked for. Nothing here knows a
driver; nothing above this interface knows which one is at work.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class StoreError(Exception):
    """The store could not do it. The text says what is wrong, where, and what to do; safe to show."""


class StoreUnreachable(StoreError):
    """Nobody answers there now; that may heal."""


class StoreConflict(StoreError):
    """The statement would break a uniqueness or reference rule; nothing was changed."""


class NumberTooLarge(StoreError):
    """A number does not fit a BIGINT; nothing was changed."""


class Statements(Protocol):
    """Statements in one transaction, or each in its own. All raise `StoreError`."""

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """All rows of a query, or of a statement with RETURNING."""
        ...

    async def fetch_one(self, sql: str, *args: Any) -> Row | None:
        """The first row, None if there is none."""
        ...

    async def execute(self, sql: str, *args: Any) -> int:
        """How many rows were touched."""
        ...

    async def insert_many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        conflict: str = "",
        shared: Sequence[Any] = (),
    ) -> int:
        """Insert the rows, many in a statement; returns how many were touched.

        `conflict` is what follows the values, such as `ON CONFLICT DO NOTHING`. `shared` are the values of the
        first columns in every row, which the rows then leave out. An iterator is consumed where the database
        works, maybe in another thread.
        """
        ...

    async def announce(self) -> None:
        """Once this is committed, those who `poll` learn of it at once."""
        ...


class Database(Statements, Protocol):
    """A database. Outside of a transaction `fetch` and `fetch_one` only read, and never wait for writers."""

    dialect: str  # sqlite | postgres
    name: str  # as shown: without user and password

    def transaction(self, *, exclusive: bool = False) -> AbstractAsyncContextManager[Statements]:
        """All or nothing: commits when the block ends, rolls back when it raises or is cancelled.

        `exclusive` keeps every other process out as well, for migrations.
        """
        ...

    async def poll(self, sql: str) -> Row | None:
        """The first row of the query if anything was committed since the last call, by anybody; else None.

        Cheap enough for every 100 ms; the first call always asks.
        """
        ...

    async def wait_for_news(self) -> None:
        """Return when it is time to `poll` again: at once when something was announced, in half a second at most."""
        ...

    def silence_seconds(self) -> float:
        """How old what the last `poll` told may be."""
        ...

    async def tables(self) -> set[str]:
        """The names of the tables."""
        ...

    async def close(self) -> None:
        """Finish what was submitted and let go of the file or connections. May be called twice."""
        ...


class AutoCommit(ABC):
    """What a statement outside of a transaction means: one of its own."""

    @abstractmethod
    def transaction(self, *, exclusive: bool = False) -> AbstractAsyncContextManager[Statements]:
        """As in `Database`."""

    async def execute(self, sql: str, *args: Any) -> int:
        async with self.transaction() as tx:
            return await tx.execute(sql, *args)

    async def insert_many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        conflict: str = "",
        shared: Sequence[Any] = (),
    ) -> int:
        async with self.transaction() as tx:
            return await tx.insert_many(table, columns, rows, conflict, shared)
