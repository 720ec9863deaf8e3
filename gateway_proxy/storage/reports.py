"""What the books tell: usage from the hourly roll-up, and the request log page by page.

Both stay fast at ten million requests: usage never reads the log, and the log is walked along an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from gateway_proxy.core.ledger import LogRow
from gateway_proxy.storage.database import Database, Row
from gateway_proxy.storage.ledger_rows import HOUR_MS, HOURLY_COLUMNS, LOG_COLUMNS

GroupBy = Literal["key", "owner", "model", "provider", "day"]
_GROUPS = {"key": "key_id", "owner": "owner", "model": "model", "provider": "provider", "day": "hour / 24"}
_SUMS = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in HOURLY_COLUMNS[6:])
_EPOCH = date(1970, 1, 1).toordinal()
_FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Sums over one group. `requests` were admitted, `errors` are those of them that failed, `denied` were refused."""

    group: tuple[str, ...]  # in the order asked for; a day as YYYY-MM-DD, UTC
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
    error_code: str = ""
    errors_only: bool = False
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

    async def usage(
        self,
        group_by: Sequence[GroupBy],
        start_ms: int,
        end_ms: int,
        *,
        organization: str | None = None,
        key_id: str | None = None,
        owner: str | None = None,
    ) -> list[UsageRow]:
        """Sums over whole UTC hours from `start_ms` to `end_ms` (exclusive), by group in order; none: one row."""
        clauses, args = ["hour >= $1", "hour < $2"], [start_ms // HOUR_MS, -(-end_ms // HOUR_MS)]
        for column, value in (("organization", organization), ("key_id", key_id), ("owner", owner)):
            if value is not None:
                args.append(value)  # type: ignore[arg-type]
                clauses.append(f"{column} = ${len(args)}")
        columns = [_GROUPS[name] for name in group_by]
        selected = "".join(f"{column}, " for column in columns)
        grouped = f" GROUP BY {', '.join(columns)} ORDER BY {', '.join(columns)}" if columns else ""
        rows = await self._db.fetch(
            f"SELECT {selected}{_SUMS} FROM usage_hourly WHERE {' AND '.join(clauses)}{grouped}",  # noqa: S608
            *args,
        )
        return [_usage_row(group_by, row) for row in rows if row[-1] is not None]

    async def logs(self, query: LogQuery, *, limit: int = 50, cursor: str | None = None) -> LogPage:
        """The newest first; `cursor` is the `next_cursor` of the page before. Raises ValueError for another one."""
        clauses, args = _clauses(query)
        if cursor is not None:
            at, seq = _parse_cursor(cursor)
            args += (at, seq)
            clauses.append(f"(at, seq) < (${len(args) - 1}, ${len(args)})")
        args.append(limit + 1)
        rows = await self._db.fetch(
            f"SELECT {', '.join(LOG_COLUMNS)} FROM request_log WHERE {' AND '.join(clauses)}"  # noqa: S608
            f" ORDER BY at DESC, seq DESC LIMIT ${len(args)}",
            *args,
        )
        last = rows[limit - 1] if len(rows) > limit else None
        return LogPage([_log_row(row) for row in rows[:limit]], f"{last[2]}.{last[1]}" if last else None)

    async def follow(self, query: LogQuery, *, after: str | None = None, limit: int = 100) -> LogPage:
        """What arrived since `after`, oldest first; its `next_cursor` is the next `after`, never None.

        Without `after` it returns no rows, only where the end is now.
        """
        if after is None:
            row = await self._db.fetch_one("SELECT value FROM counters WHERE name = 'request_log'")
            return LogPage([], str(row[0] if row else 0))
        if not after.isascii() or not after.isdecimal():
            raise ValueError("the cursor is not one that following the log gave out; start again without it")
        clauses, args = _clauses(query, by_arrival=True)
        args += (int(after), limit)
        rows = await self._db.fetch(
            f"SELECT {', '.join(LOG_COLUMNS)} FROM request_log"  # noqa: S608
            f" WHERE {' AND '.join(clauses)} AND seq > ${len(args) - 1} ORDER BY seq LIMIT ${len(args)}",
            *args,
        )
        return LogPage([_log_row(row) for row in rows], str(rows[-1][1]) if rows else after)

    async def find_log(self, request_id: str) -> LogRow | None:
        """The request of this id."""
        row = await self._db.fetch_one(
            f"SELECT {', '.join(LOG_COLUMNS)} FROM request_log WHERE request_id = $1",  # noqa: S608
            request_id,
        )
        return _log_row(row) if row else None


def _clauses(query: LogQuery, *, by_arrival: bool = False) -> tuple[list[str], list[Any]]:
    """`by_arrival` keeps the planner off the other indexes: an expression is not looked up in one."""
    args: list[Any] = [query.start_ms, _FOREVER if query.end_ms is None else query.end_ms]
    at = "COALESCE(at, 0)" if by_arrival else "at"
    clauses = [f"{at} >= $1", f"{at} < $2"]
    for column in ("organization", "owner", "key_id", "model", "provider", "status"):
        value = getattr(query, column)
        if value is not None:
            args.append(value)
            text = by_arrival and column != "status"
            clauses.append(f"COALESCE({column}, '') = ${len(args)}" if text else f"{column} = ${len(args)}")
    if query.error_code:
        args.append(query.error_code)
        clauses.append(f"error_code = ${len(args)}")
    # Said literally, or the partial index on errors is not considered.
    if query.errors_only or query.error_code or (query.status or 0) >= 400:
        clauses.append("status >= 400")
    return clauses, args


def _usage_row(group_by: Sequence[GroupBy], row: Row) -> UsageRow:
    group = tuple(
        date.fromordinal(_EPOCH + value).isoformat() if name == "day" else value
        for name, value in zip(group_by, row, strict=False)
    )
    return UsageRow(group, *row[len(group_by) :])


def _log_row(row: Row) -> LogRow:
    values = dict(zip(LOG_COLUMNS, row, strict=True))
    del values["seq"]
    values["admitted"] = bool(values["admitted"])
    values["stream"] = bool(values["stream"])
    return LogRow(**values)


def _parse_cursor(cursor: str) -> tuple[int, int]:
    at, _, seq = cursor.partition(".")
    if not (cursor.isascii() and at.isdecimal() and seq.isdecimal() and len(cursor) < 40):
        raise ValueError("the cursor is not one that the log gave out; start again without it")
    return int(at), int(seq)
