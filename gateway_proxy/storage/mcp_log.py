"""The log of MCP calls: appended, walked from the newest along an index, pruned."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.storage.database import Database
from gateway_proxy.storage.where import Where

FAILURES = "failures"
"""As a status: whatever is not ok."""
_COLUMNS = ", ".join(McpLogRow._fields)
_FILTERS = ("organization", "owner", "key_id", "server", "tool", "method")
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class McpLogQuery:
    """Which calls. None and "" mean all; times in Unix milliseconds, the end exclusive."""

    organization: str | None = None
    owner: str | None = None
    key_id: str | None = None
    server: str | None = None
    tool: str | None = None
    method: str | None = None
    status: str = ""  # ok, error, denied or FAILURES
    start_ms: int = 0
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class McpLogPage:
    """Rows, the newest first, and where to go on (None: these were the last)."""

    rows: list[McpLogRow]
    next_cursor: str | None


class McpLog:
    """The table."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, rows: Sequence[McpLogRow]) -> None:
        """A row that is there already stays as it is."""
        await self._db.insert_many("mcp_log", McpLogRow._fields, rows, "ON CONFLICT (request_id) DO NOTHING")

    async def search(self, query: McpLogQuery, *, limit: int = 50, cursor: str | None = None) -> McpLogPage:
        """`cursor` is the `next_cursor` of the page before. Raises ValueError for another one."""
        where = Where()
        if cursor is not None:
            at, request_id = _parse_cursor(cursor)
            where.add(f"(at, request_id) < ({where.bind(at)}, {where.bind(request_id)})")
        if query.start_ms:
            where.add(f"at >= {where.bind(query.start_ms)}")
        if query.end_ms is not None:
            where.add(f"at < {where.bind(query.end_ms)}")
        for column in _FILTERS:
            where.equal(column, getattr(query, column))
        if query.status == FAILURES:
            where.add("status <> 'ok'")
        else:
            where.equal("status", query.status or None)
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM mcp_log{where}"  # noqa: S608
            f" ORDER BY at DESC, request_id DESC LIMIT {where.bind(limit + 1)}",
            *where.args,
        )
        found = [McpLogRow(*row) for row in rows[:limit]]
        last = found[-1] if len(rows) > limit else None
        return McpLogPage(found, None if last is None else f"{last.at}.{last.request_id}")

    async def prune(self, before_ms: int, limit: int = 1000) -> int:
        """Delete at most `limit` of the oldest from before `before_ms`; returns how many. Repeat while full."""
        return await self._db.execute(
            "DELETE FROM mcp_log WHERE request_id IN"
            " (SELECT request_id FROM mcp_log WHERE at < $1 ORDER BY at, request_id LIMIT $2)",
            before_ms, limit,
        )  # fmt: skip


def _parse_cursor(cursor: str) -> tuple[int, str]:
    at, dot, request_id = cursor.partition(".")
    if not (dot and at.isascii() and at.isdecimal() and len(at) <= 18 and 0 < len(request_id) <= _LONGEST_ID):
        raise ValueError("the cursor is not one that the log gave out; start again without it")
    return int(at), request_id
