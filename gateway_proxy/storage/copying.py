"""Copies one store into another, whatever databases they are on: every row, resumable, and compared at the end.

The source is locked for writers from the first row to the last comparison, and nothing of it is changed but that it gets
an id. Each batch is one transaction at the target together with how far the copy is, so it may be killed at any point and
run again. Until the comparison has succeeded the target is marked, and `open_store` refuses it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import random_hex
from gateway_proxy.storage.database import Database, Row, Statements, StoreError
from gateway_proxy.storage.facts import get_fact, set_fact
from gateway_proxy.storage.migrations import check_schema, load_migrations, migrate, schema_version
from gateway_proxy.storage.registry import LIVE_MS
from gateway_proxy.storage.shapes import Table, list_tables
from gateway_proxy.storage.where import list_marks

UNFINISHED = "copy"  # a fact of a store that a copy has begun to fill: how far it is
_ORIGIN = "store_id"  # a fact of a store that was copied, and of its copy
_ROWS = 2000  # of a batch; few enough that no sum over it exceeds a BIGINT, and that it is done in well under a second
_LARGE_ROWS = {"request_bodies": 100}  # of a batch, where a row may be of a hundred kilobytes
_MONEY = {"ledger": "charged_nanos", "spend_slots": "nanos", "key_stats": "spent_nanos"}

Progress = Callable[[str, int, int], None]


@dataclass
class Copied:
    """`rows` of each table that the target has now; `copied` of them by this run. `charged_nanos`: all of the ledger."""

    rows: dict[str, int] = field(default_factory=dict)
    copied: int = 0
    resumed: bool = False
    charged_nanos: int = 0


@dataclass
class _Sums:
    """Of one table: rows, the sum of each column of numbers, and money by key."""

    rows: int = 0
    numbers: tuple[int, ...] = ()
    money: dict[str, int] = field(default_factory=dict)


async def copy_store(
    source: Database, target: Database, progress: Progress, clock: Clock | None = None
) -> Copied:
    """Copy all of it. `progress(what, done, total)` is told of rows, `what` being "copy" or "compare".

    Raises StoreError: the source is in use, the target is not empty and no copy of this source, or the two differ at the end.
    """
    await check_schema(source)
    await migrate(target)
    for database, which in ((source, "from"), (target, "to")):
        if await schema_version(database) != len(load_migrations(database.dialect)):
            raise StoreError(
                f"the store to copy {which} was migrated by a newer gateway-proxy, whose tables this one does not know: "
                "copy with that version"
            )
    if await get_fact(source, "demo") == "1":
        raise StoreError("the store to copy from is that of a demo, which `serve` refuses, and its copy too")
    if await get_fact(source, UNFINISHED) is not None:
        raise StoreError("the store to copy from is itself an unfinished copy; finish that one first")
    origin = await _name_origin(source)
    async with source.transaction() as reading:  # nobody else writes to it until the end
        copy = _Copy(reading, target, await list_tables(reading, source.dialect), progress)
        await copy.refuse_live((clock or Clock()).now_ms())
        return await copy.run(origin)


class _Copy:
    def __init__(self, source: Statements, target: Database, tables: list[Table], progress: Progress) -> None:
        self._source = source
        self._target = target
        self._tables = [table for table in tables if table.name != "meta"]  # facts come last
        self._progress = progress
        self._totals: dict[str, int] = {}
        self._done: dict[str, Any] = {}  # the mark at the target

    async def refuse_live(self, now_ms: int) -> None:
        """Raise StoreError while a gateway serves either store."""
        for statements, which in ((self._source, "from"), (self._target, "to")):
            row = await statements.fetch_one(
                "SELECT name, id FROM gateways WHERE last_seen_at > $1 LIMIT 1", now_ms - LIVE_MS
            )
            if row is not None:
                raise StoreError(
                    f'a gateway ("{row[0]}", {row[1]}) serves the store to copy {which}: stop it first'
                    " (after a crash it counts as running for 15 seconds)"
                )

    async def run(self, origin: str) -> Copied:
        for table in self._tables:
            [(count,)] = await self._source.fetch(f"SELECT COUNT(*) FROM {table.name}")  # noqa: S608
            self._totals[table.name] = count
        result = Copied()
        if await self._begin(origin, result):
            await self._copy_rows(result)
            await self._compare(result)
            await self._finish()
        else:
            await self._compare(result)
        result.rows = dict(self._totals)
        return result

    async def _begin(self, origin: str, result: Copied) -> bool:
        """Make the target ready; False if it is a complete copy already. Raises StoreError if it is something else."""
        state = {"origin": origin, "source": await self._describe_source()}
        mark = await get_fact(self._target, UNFINISHED)
        if mark is not None:
            found = json.loads(mark)
            if found["origin"] != origin:
                raise StoreError("the store to copy to holds an unfinished copy of another store")
            result.resumed = found["source"] == state["source"]
            self._done = found if result.resumed else {**state, "table": "", "after": None}
            if not result.resumed:
                await self._empty_target()  # the source went on meanwhile: what was copied is of yesterday
            return True
        if await get_fact(self._target, _ORIGIN) == origin:
            return False
        for table in (*self._tables, Table("meta", (), (), ())):
            seeded = " WHERE value <> 0" if table.name == "counters" else ""
            if await self._target.fetch_one(f"SELECT 1 FROM {table.name}{seeded} LIMIT 1"):  # noqa: S608
                raise StoreError(
                    f"the store to copy to is not empty (it has rows in {table.name}); nothing was changed: name an empty one"
                )
        self._done = {**state, "table": "", "after": None}
        async with self._target.transaction() as tx:
            await self._mark(tx)
        return True

    async def _describe_source(self) -> list[Any]:
        """Differs after whatever a gateway or a command did to it."""
        counters = await self._source.fetch("SELECT name, value FROM counters ORDER BY name")
        return [[list(row) for row in counters], self._totals]

    async def _empty_target(self) -> None:
        names = [table.name for table in reversed(self._tables)]
        async with self._target.transaction() as tx:
            if self._target.dialect == "postgres":
                await tx.execute(f"TRUNCATE {', '.join(names)}")
            else:
                for name in names:
                    await tx.execute(f"DELETE FROM {name}")  # noqa: S608
            await self._mark(tx)

    async def _copy_rows(self, result: Copied) -> None:
        names = [table.name for table in self._tables]
        first = names.index(self._done["table"]) if self._done["table"] else 0
        total = sum(self._totals.values())
        finished = sum(self._totals[name] for name in names[:first])
        for table in self._tables[first:]:
            after = self._done["after"] if self._done["table"] == table.name else None
            count = 0 if after is None else await self._count_until(table, after)
            self._progress("copy", finished + count, total)
            most = min(_ROWS, _LARGE_ROWS.get(table.name, _ROWS))
            while rows := await self._source.fetch(*_page(table, ", ".join(table.columns), after, most)):
                after = [rows[-1][table.columns.index(column)] for column in table.key]
                async with self._target.transaction() as tx:
                    await tx.insert_many(table.name, table.columns, rows, table.upsert)
                    self._done.update(table=table.name, after=after)
                    await self._mark(tx)
                count += len(rows)
                result.copied += len(rows)
                self._progress("copy", finished + count, total)
            finished += self._totals[table.name]

    async def _count_until(self, table: Table, after: list[Any]) -> int:
        keys, marks = ", ".join(table.key), list_marks(len(after))
        [(count,)] = await self._source.fetch(
            f"SELECT COUNT(*) FROM {table.name} WHERE ({keys}) <= ({marks})",  # noqa: S608
            *after,
        )
        return int(count)

    async def _compare(self, result: Copied) -> None:
        """Raise StoreError unless both have as many rows, the same sums in all columns, and the same money by key."""
        total, done = sum(self._totals.values()), 0
        for table in self._tables:
            theirs = await _sum_up(self._source, table)
            ours = await _sum_up(self._target, table)
            if theirs != ours:
                raise StoreError(
                    f"the two stores differ in {table.name} ({theirs.rows} rows there, {ours.rows} in the copy): "
                    + await self._give_up()
                )
            if table.name == "ledger":
                result.charged_nanos = sum(theirs.money.values())
            done += theirs.rows
            self._progress("compare", done, total)

    async def _give_up(self) -> str:
        """What to do about a copy that is not equal."""
        if not self._done:
            return "the copy has been used since it was made, and is left alone"
        self._done["source"] = None
        async with self._target.transaction() as tx:
            await self._mark(tx)
        return "run the command again, it begins anew"

    async def _finish(self) -> None:
        facts = await self._source.fetch("SELECT name, value FROM meta")
        async with self._target.transaction() as tx:
            for name, value in facts:
                await set_fact(tx, name, value)
            await tx.execute("DELETE FROM meta WHERE name = $1", UNFINISHED)
        if self._target.dialect == "postgres":
            await self._target.execute("ANALYZE")  # what it knows of the rows is from when there were none

    async def _mark(self, tx: Statements) -> None:
        await set_fact(tx, UNFINISHED, json.dumps(self._done, separators=(",", ":")))


def _page(table: Table, columns: str, after: list[Any] | None, rows: int) -> tuple[Any, ...]:
    """The next rows in the order of the primary key: the statement and its arguments."""
    keys = ", ".join(table.key)
    where = f" WHERE ({keys}) > ({list_marks(len(after))})" if after else ""
    return (f"SELECT {columns} FROM {table.name}{where} ORDER BY {keys} LIMIT {rows}", *(after or ()))  # noqa: S608


async def _sum_up(statements: Statements, table: Table) -> _Sums:
    """Page by page, so that no statement runs for long; the database adds, and few rows leave it."""
    money = _MONEY.get(table.name)
    group = "key_id, " if money else ""
    wanted = "".join(f", CAST(SUM({column}) AS BIGINT)" for column in table.numbers)
    keys = ", ".join(table.key)
    sums = _Sums(numbers=(0,) * len(table.numbers))
    after: list[Any] | None = None
    while True:
        end = await _find_end(statements, table, after)
        bounds = [f"({keys}) > ({list_marks(len(after))})"] if after else []
        if end is not None:
            bounds.append(f"({keys}) <= ({list_marks(len(end), 1 + len(after or ()))})")
        rows = await statements.fetch(
            f"SELECT {group}COUNT(*){wanted} FROM {table.name} WHERE {' AND '.join(bounds) or '1 = 1'}"  # noqa: S608
            + (" GROUP BY key_id" if money else ""),
            *(after or ()),
            *(end or ()),
        )
        for row in rows:
            _add(sums, table, row, money)
        if end is None:
            return sums
        after = end


async def _find_end(statements: Statements, table: Table, after: list[Any] | None) -> list[Any] | None:
    """The primary key of the last row of the next page, None if fewer rows are left."""
    text, *args = _page(table, ", ".join(table.key), after, 1)
    row = await statements.fetch_one(f"{text} OFFSET {_ROWS - 1}", *args)
    return None if row is None else list(row)


def _add(sums: _Sums, table: Table, row: Row, money: str | None) -> None:
    key_id, count, *numbers = row if money else ("", *row)
    sums.rows += count
    sums.numbers = tuple(have + (number or 0) for have, number in zip(sums.numbers, numbers, strict=True))
    if money:
        sums.money[key_id] = sums.money.get(key_id, 0) + numbers[table.numbers.index(money)]


async def _name_origin(source: Database) -> str:
    """The id of the source, which it gets now if it has none."""
    origin = await get_fact(source, _ORIGIN)
    if origin is None:
        origin = random_hex(16)
        async with source.transaction() as tx:
            await set_fact(tx, _ORIGIN, origin)
    return origin
