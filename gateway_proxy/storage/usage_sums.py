"""Sums of usage by one field alone: how hours are carried there, how late rows follow them, and which reports they can answer.

The hourly roll-up has a row for each key and model of an hour; weeks of it are too many to add up while somebody waits. These sums
have one for each key, or each model. They are exact: an hour that gets another row after it was carried gets it in both places.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway_proxy.storage.database import Database, Statements
from gateway_proxy.storage.ledger_rows import EVERYBODY, HOURLY_COLUMNS
from gateway_proxy.storage.where import Where

COLUMNS = ("step_hours", "organization", "field", "owner", "hour", "value", *HOURLY_COLUMNS[6:])
DAY_HOURS = 24
_FIELDS = ("key_id", "model", "provider")
_COUNTED = HOURLY_COLUMNS[6:]
_NAMES = ", ".join(_COUNTED)
_PLACE = {name: HOURLY_COLUMNS.index(name) for name in (*_FIELDS, "owner", "hour", "organization")}
ADD = f"ON CONFLICT ({', '.join(COLUMNS[:6])}) DO UPDATE SET " + ", ".join(
    f"{name} = usage_sums.{name} + excluded.{name}" for name in _COUNTED
)
# Also the lock: whoever adds hours and whoever carries them take turns.
_LOCK = "UPDATE counters SET value = value WHERE name = 'usage_sums' RETURNING value"


class UsageSums:
    """Carries hours, and reads sums."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def carry(self, before_hour: int, *, hours: int = 1) -> int:
        """Carry the next `hours` hours (of 1970, UTC) that have usage, up to `before_hour`; returns how many are left to look at."""
        async with self._db.transaction() as tx:
            first = await _lock(tx)
            row = await tx.fetch_one("SELECT MIN(hour) FROM usage_hourly WHERE hour >= $1", first)
            start = before_hour if row is None or row[0] is None else int(row[0])
            end = min(start + hours, before_hour)
            if end > start:
                for statement in _CARRY:
                    await tx.execute(statement, start, end)
            if end > first:
                await tx.execute("UPDATE counters SET value = $1 WHERE name = 'usage_sums'", end)
        return max(0, before_hour - end)

    async def carried_to(self) -> int:
        """The first hour that was not carried yet."""
        row = await self._db.fetch_one("SELECT value FROM counters WHERE name = 'usage_sums'")
        return int(row[0]) if row else 0


async def list_late(tx: Statements, hourly: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Those of these rows for `usage_hourly` whose hours were carried already, as rows for `usage_sums`."""
    if not hourly:
        return []
    carried = await _lock(tx)
    return [late for row in hourly if row[_PLACE["hour"]] < carried for late in _spread(row)]


def find_field(groups: Iterable[str], filters: Iterable[str]) -> str | None:
    """The field whose sums answer a report by these columns under these filters; None if none does.

    Any field goes with a filter on the owner, but the owner goes with no other field.
    """
    named = {*groups, *(name for name in filters if name != "owner")} - {"hour", "organization"}
    return next(iter(named), "provider") if len(named) < 2 else None


def select_sums(
    where: Where,
    field: str,
    start_hour: int,
    end_hour: int,
    carried: int,
    *,
    by_hour: bool,
    filters: dict[str, str],
) -> str:
    """A query for `field`, `hour` and the sums, some rows a group, from days, hours and what was not carried yet.

    `filters` has the organization; it may have the owner and a value of the field.
    """
    owner = EVERYBODY if field == "owner" else filters.get("owner", EVERYBODY)
    value = filters.get(field)
    middle = max(start_hour, min(end_hour, carried))
    first_day = -(-start_hour // DAY_HOURS) * DAY_HOURS
    last_day = middle // DAY_HOURS * DAY_HOURS
    if by_hour or first_day >= last_day:
        pieces = [(1, start_hour, middle)]
    else:
        pieces = [(1, start_hour, first_day), (DAY_HOURS, first_day, last_day), (1, last_day, middle)]
    selects = []
    for step, start, end in pieces:
        if start < end:
            piece = Where(where.args)
            piece.add(f"step_hours = {step}")
            for column, wanted in (
                ("organization", filters["organization"]), ("field", field), ("owner", owner), ("value", value),
            ):  # fmt: skip
                piece.equal(column, wanted)
            piece.add(f"hour >= {piece.bind(start)} AND hour < {piece.bind(end)}")
            selects.append(f"SELECT value AS {field}, hour, {_NAMES} FROM usage_sums{piece}")  # noqa: S608
    if middle < end_hour or not selects:
        piece = Where(where.args)
        piece.add(f"hour >= {piece.bind(middle)} AND hour < {piece.bind(end_hour)}")
        for column, wanted in filters.items():
            piece.equal(column, wanted)
        selects.append(f"SELECT {field}, hour, {_NAMES} FROM usage_hourly{piece}")  # noqa: S608
    return " UNION ALL ".join(selects)


async def _lock(tx: Statements) -> int:
    row = await tx.fetch_one(_LOCK)
    assert row is not None  # the migration made the counter
    return int(row[0])


def _spread(row: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """A row for `usage_hourly` as rows for `usage_sums`."""
    hour, organization, owner = (row[_PLACE[name]] for name in ("hour", "organization", "owner"))
    sums = tuple(row[6:])
    for step in (1, DAY_HOURS):
        start = hour // step * step
        yield (step, organization, "owner", EVERYBODY, start, owner, *sums)
        for field in _FIELDS:
            for of in (owner, EVERYBODY):
                yield (step, organization, field, of, start, row[_PLACE[field]], *sums)


def _carrying(step: int, field: str, owner: str) -> str:
    start = f"hour / {step} * {step}"
    groups = ", ".join(
        dict.fromkeys(("organization", start, *(("owner",) if owner == "owner" else ()), field))
    )
    summed = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in _COUNTED)
    return (
        f"INSERT INTO usage_sums ({', '.join(COLUMNS)})"  # noqa: S608
        f" SELECT {step}, organization, '{field}', {owner}, {start}, {field}, {summed}"
        f" FROM usage_hourly WHERE hour >= $1 AND hour < $2 GROUP BY {groups} {ADD}"
    )


_CARRY = tuple(
    _carrying(step, field, owner)
    for step in (1, DAY_HOURS)
    for field in (*_FIELDS, "owner")
    for owner in (f"'{EVERYBODY}'", "owner")
    if (field, owner) != ("owner", "owner")
)
