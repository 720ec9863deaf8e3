"""What the books tell: usage from the roll-ups, and the request log page by page.

Both stay fast at ten million requests: usage never reads the log, and the log is walked along an index.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from gateway_proxy.core.clock import format_time
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.storage.database import Database, Row
from gateway_proxy.storage.ledger_rows import (
    EVERYBODY,
    HOUR_MS,
    HOURLY_COLUMNS,
    LEDGER_COLUMNS,
    LOG_COLUMNS,
    MINUTE_MS,
    tuple_to_ledger,
)
from gateway_proxy.storage.usage_sums import UsageSums, find_field, select_sums
from gateway_proxy.storage.where import Where

GroupBy = Literal["key", "owner", "model", "provider", "day", "hour"]
_GROUPS = {
    "key": "key_id",
    "owner": "owner",
    "model": "model",
    "provider": "provider",
    "day": "hour / 24",
    "hour": "hour",
}
_COLUMNS = {**_GROUPS, "day": "hour"}
_SUMS = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in HOURLY_COLUMNS[6:])
_AT, _SEQ = LOG_COLUMNS.index("at"), LOG_COLUMNS.index("seq")
_LOG_SELECTED = ", ".join(f"r.{name}" for name in LOG_COLUMNS)
_MINUTE_FIELDS = ("error_code", "key_id", "owner", "status", "model", "provider", "organization")
_FIRST_SCAN = 2000
ANY_CODE = "any"
"""As `would_deny`: whatever was refused in the shadow."""
_Position = tuple[int, int]  # when a request began, and its number
_AT_UNINDEXED = "COALESCE(r.at, 0)"  # an expression is not looked up in an index: another one leads
_EPOCH = date(1970, 1, 1).toordinal()
_FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Sums over one group. `requests` were admitted, `errors` are those of them that failed, `denied` were refused."""

    group: tuple[str, ...]  # in the order asked for; a day as YYYY-MM-DD, an hour as RFC 3339, UTC
    requests: int
    errors: int
    denied: int
    input_tokens: int
    cached_tokens: int  # contained in input_tokens
    output_tokens: int
    cost_nanos: int
    latency_ms: int  # summed over `requests`


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which requests. None and "" mean all; times in Unix milliseconds, the end exclusive."""

    organization: str | None = None
    owner: str | None = None
    key_id: str | None = None
    model: str | None = None
    provider: str | None = None
    status: int | None = None
    operation: str | None = None
    error_code: str = ""
    errors_only: bool = False
    would_deny: str = ""  # a code, or ANY_CODE
    start_ms: int = 0
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Log rows, and where to go on (None: these were the last)."""

    rows: list[LogRow]
    next_cursor: str | None


class Reports:
    """Read-only views of the books."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._sums = UsageSums(db)

    async def usage(
        self,
        group_by: Sequence[GroupBy],
        start_ms: int,
        end_ms: int,
        *,
        organization: str | None = None,
        key_id: str | None = None,
        owner: str | None = None,
        model: str | None = None,
        provider: str | None = None,
    ) -> list[UsageRow]:
        """Sums over whole UTC hours from `start_ms` to `end_ms` (exclusive), by group in order; none: one row.

        What one field of one organization can answer is read from the sums by that field.
        """
        asked = {
            "organization": organization,
            "key_id": key_id,
            "owner": owner,
            "model": model,
            "provider": provider,
        }
        filters = {column: value for column, value in asked.items() if value is not None}
        first, end = start_ms // HOUR_MS, -(-end_ms // HOUR_MS)
        field = None
        if organization is not None and owner != EVERYBODY:
            field = find_field((_COLUMNS[name] for name in group_by), filters)
        where = Where()
        if field is None:
            where.add(f"hour >= {where.bind(first)} AND hour < {where.bind(end)}")
            for column, value in filters.items():
                where.equal(column, value)
            source = f"usage_hourly{where}"
        else:
            carried = await self._sums.carried_to()
            by_hour = "hour" in group_by
            source = (
                f"({select_sums(where, field, first, end, carried, by_hour=by_hour, filters=filters)}) AS u"
            )
        columns = ", ".join(_GROUPS[name] for name in group_by)
        grouped = f" GROUP BY {columns} ORDER BY {columns}" if columns else ""
        selected = f"{columns}, {_SUMS}" if columns else _SUMS
        rows = await self._db.fetch(f"SELECT {selected} FROM {source}{grouped}", *where.args)  # noqa: S608
        return [_usage_row(group_by, row) for row in rows if row[-1] is not None]

    async def logs(
        self, query: LogQuery, *, limit: int = 50, cursor: str | None = None, max_seconds: float = math.inf
    ) -> LogPage:
        """The newest first; `cursor` is the `next_cursor` of the page before. Raises ValueError for another one.

        After about `max_seconds` the search pauses: the page is then shorter, or empty, and its `next_cursor` goes on
        from there. So no filter makes a page slow, however rare what it looks for.
        """
        before = (_FOREVER if query.end_ms is None else query.end_ms, 0)
        if cursor is not None:
            before = min(before, _parse_cursor(cursor))
        fields = _minute_fields(query)
        found: list[Row] = []
        scanned, size = 0, max(_FIRST_SCAN, limit)
        begun = time.monotonic()
        while True:
            last = await self._find_last(query, fields, before, size)
            rows = await self._read_logs(query, fields, before, last, limit + 1 - len(found))
            found.extend(rows)
            if len(found) > limit:
                last = (found[limit - 1][_AT], found[limit - 1][_SEQ])
            scanned += size
            elapsed = time.monotonic() - begun
            # As many more as the time left suffices for, going by the rows so far; first steps are no measure.
            size = int(min(size * 4, scanned * (max_seconds / max(elapsed, 1e-6) - 1)))
            if last is None or len(found) > limit or size < _FIRST_SCAN:
                page = [_log_row(row) for row in found[:limit]]
                return LogPage(page, None if last is None else f"{last[0]}.{last[1]}")
            before = last

    async def _find_last(
        self, query: LogQuery, fields: Sequence[str], before: _Position, size: int
    ) -> _Position | None:
        """Where the last of the next `size` rows is that may have to be looked at; None if there are not so many."""
        where = Where()
        source, order = _walk(where, query, fields, before, None)
        row = await self._db.fetch_one(
            f"SELECT r.at, r.seq FROM {source}{where} ORDER BY {order}r.at DESC, r.seq DESC"  # noqa: S608
            f" LIMIT 1 OFFSET {where.bind(size - 1)}",
            *where.args,
        )
        return (row[0], row[1]) if row else None

    async def _read_logs(
        self, query: LogQuery, fields: Sequence[str], before: _Position, last: _Position | None, limit: int
    ) -> list[Row]:
        where = Where()
        source, order = _walk(where, query, fields, before, last)
        _filter(where, query)
        return await self._db.fetch(
            f"SELECT {_LOG_SELECTED} FROM {source}{where}"  # noqa: S608
            f" ORDER BY {order}r.at DESC, r.seq DESC LIMIT {where.bind(limit)}",
            *where.args,
        )

    async def follow(self, query: LogQuery, *, after: str | None = None, limit: int = 100) -> LogPage:
        """What arrived since `after`, oldest first; its `next_cursor` is the next `after`, never None.

        Without `after` it returns no rows, only where the end is now.
        """
        row = await self._db.fetch_one("SELECT value FROM counters WHERE name = 'request_log'")
        end = int(row[0]) if row else 0
        if after is None:
            return LogPage([], str(end))
        if not after.isascii() or not after.isdecimal() or len(after) > 18:
            raise ValueError("the cursor is not one that following the log gave out; start again without it")
        where = Where()
        where.add(f"r.seq > {where.bind(int(after))} AND r.seq <= {where.bind(end)}")
        end_ms = _FOREVER if query.end_ms is None else query.end_ms
        where.add(
            f"{_AT_UNINDEXED} >= {where.bind(query.start_ms)} AND {_AT_UNINDEXED} < {where.bind(end_ms)}"
        )
        _filter(where, query)
        rows = await self._db.fetch(
            f"SELECT {_LOG_SELECTED} FROM request_log r{where} ORDER BY r.seq LIMIT {where.bind(limit)}",  # noqa: S608
            *where.args,
        )
        # What did not match is never looked at again.
        return LogPage([_log_row(row) for row in rows], str(rows[-1][_SEQ] if len(rows) == limit else end))

    async def ledger_rows(self, request_ids: Sequence[str]) -> list[LedgerRow]:
        """All attempts of these requests with their compensations, by request and attempt."""
        if not request_ids:
            return []
        where = Where()
        where.add(f"request_id IN ({', '.join(map(where.bind, request_ids))})")
        rows = await self._db.fetch(
            f"SELECT {', '.join(LEDGER_COLUMNS)} FROM ledger{where} ORDER BY request_id, attempt, kind",  # noqa: S608
            *where.args,
        )
        return [tuple_to_ledger(row) for row in rows]

    async def find_log(self, request_id: str) -> LogRow | None:
        """The request of this id."""
        row = await self._db.fetch_one(
            f"SELECT {_LOG_SELECTED} FROM request_log r WHERE request_id = $1",  # noqa: S608
            request_id,
        )
        return _log_row(row) if row else None


def _wants_errors(query: LogQuery) -> bool:
    return query.errors_only or bool(query.error_code) or (query.status or 0) >= 400


def _minute_fields(query: LogQuery) -> list[str]:
    """The fields whose minutes narrow the search, the rarest kind first."""
    fields = [name for name in _MINUTE_FIELDS if getattr(query, name) not in (None, "")]
    if fields == ["organization"] and _wants_errors(query):
        return []  # errors have an index of their own
    if query.would_deny and fields == ["organization"]:
        return []  # and so has what was refused in the shadow
    return fields


def _walk(
    where: Where, query: LogQuery, fields: Sequence[str], before: _Position, last: _Position | None
) -> tuple[str, str]:
    """Rows below `before`, down to `last`: what to read from, and the order in which it lies there.

    With fields, only the minutes in which each has the value asked for; CROSS JOIN keeps that order.
    """
    at = _AT_UNINDEXED if fields else "r.at"
    where.add(f"{at} >= {where.bind(query.start_ms)}")
    where.add(f"{at} <= {where.bind(before[0])}")
    where.add(f"({at}, r.seq) < ({where.bind(before[0])}, {where.bind(before[1])})")
    if last is not None:
        where.add(f"({at}, r.seq) >= ({where.bind(last[0])}, {where.bind(last[1])})")
    if _wants_errors(query):
        where.add("r.status >= 400")  # said literally, or the partial index on errors is not considered
    if query.would_deny:
        where.add("r.would_deny <> ''")
    if not fields:
        return "request_log r", ""
    for number, name in enumerate(fields):
        where.add(f"m{number}.field = {where.bind(name)}")
        where.add(f"m{number}.value = {where.bind(str(getattr(query, name)))}")
        if number:
            where.add(f"m{number}.minute = m0.minute")
    first = max(query.start_ms, 0 if last is None else last[0])
    where.add(f"m0.minute >= {where.bind(first // MINUTE_MS)}")
    where.add(f"m0.minute <= {where.bind(before[0] // MINUTE_MS)}")
    where.add(f"r.at >= m0.minute * {MINUTE_MS} AND r.at < m0.minute * {MINUTE_MS} + {MINUTE_MS}")
    minutes = " CROSS JOIN ".join(f"request_log_minutes m{number}" for number in range(len(fields)))
    return f"{minutes} CROSS JOIN request_log r", "m0.minute DESC, "


def _filter(where: Where, query: LogQuery) -> None:
    for column in ("organization", "owner", "key_id", "model", "provider", "status", "operation"):
        where.equal(f"r.{column}", getattr(query, column))
    where.equal("r.error_code", query.error_code or None)
    if _wants_errors(query):
        where.add("r.status >= 400")
    if query.would_deny == ANY_CODE:
        where.add("r.would_deny <> ''")
    elif query.would_deny:
        where.equal("r.would_deny", query.would_deny)


def _usage_row(group_by: Sequence[GroupBy], row: Row) -> UsageRow:
    group = tuple(_group_text(name, value) for name, value in zip(group_by, row, strict=False))
    return UsageRow(group, *row[len(group_by) :])


def _group_text(name: GroupBy, value: Any) -> str:
    if name == "day":
        return date.fromordinal(_EPOCH + value).isoformat()
    if name == "hour":
        return format_time(value * HOUR_MS) or ""
    return str(value)


def _log_row(row: Row) -> LogRow:
    values = dict(zip(LOG_COLUMNS, row, strict=True))
    del values["seq"]
    values["admitted"] = bool(values["admitted"])
    values["stream"] = bool(values["stream"])
    return LogRow(**values)


def _parse_cursor(cursor: str) -> tuple[int, int]:
    at, _, seq = cursor.partition(".")
    if not (cursor.isascii() and at.isdecimal() and seq.isdecimal() and max(len(at), len(seq)) <= 18):
        raise ValueError("the cursor is not one that the log gave out; start again without it")
    return int(at), int(seq)
