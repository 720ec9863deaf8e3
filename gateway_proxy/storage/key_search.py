"""Lists of keys: search, status, order, pages, and the counts that stand beside each key.

Made for 100,000 keys: names, owners, times and requests are walked in index order; only status is sorted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway_proxy.core.key import Key
from gateway_proxy.storage.database import Database
from gateway_proxy.storage.key_rows import COLUMNS, SELECTED, row_to_key
from gateway_proxy.storage.where import Where

StatusFilter = Literal["all", "active", "inactive", "expired", "revoked"]
KeySort = Literal["name", "owner", "status", "requests", "created_at"]
_SORTED_BY = {"name": "k.search", "owner": "k.owner", "created_at": "k.created_at", "requests": "t.requests"}
_STATS = "t.requests, t.last_used_at, t.reserved_nanos, t.spent_nanos"


@dataclass(frozen=True, slots=True)
class KeyStats:
    """A key's counts as the books know them. `spent_nanos` includes what its ephemeral tokens spent."""

    requests: int = 0
    last_used_at: int | None = None
    reserved_nanos: int = 0
    spent_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """What to list. None means all; `cursor` is the `next_cursor` of the page before."""

    organization: str | None = None
    owner: str | None = None
    parent_id: str | None = None
    search: str = ""
    status: StatusFilter = "all"
    sort: KeySort = "created_at"
    descending: bool = False
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys with their stats, and where the next page begins (None: this was the last)."""

    keys: list[tuple[Key, KeyStats]]
    next_cursor: str | None


def escape_like(text: str) -> str:
    r"""The text with `%`, `_` and `\` taken literally under `ESCAPE '\'`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def search(db: Database, query: KeyQuery, now_ms: int) -> KeyPage:
    """One page. Status is what holds at `now_ms`. Raises ValueError for a cursor that is not ours."""
    offset = _offset(query.cursor)
    limit = max(1, query.limit)
    by_requests = query.sort == "requests"
    # An index that begins with the organization leads through the table that the order comes from; CROSS JOIN keeps
    # SQLite on that path.
    where = _filter(query, now_ms, "t" if by_requests else "k")
    source = "key_stats t CROSS JOIN keys k" if by_requests else "keys k CROSS JOIN key_stats t"
    column = _status_expression(where.bind(now_ms)) if query.sort == "status" else _SORTED_BY[query.sort]
    tie = "t.key_id" if by_requests else "k.id"
    direction = "DESC" if query.descending else "ASC"
    where.add("t.key_id = k.id")
    rows = await db.fetch(
        f"SELECT {SELECTED}, {_STATS} FROM {source}{where}"  # noqa: S608
        f" ORDER BY {column} {direction}, {tie} {direction}"
        f" LIMIT {where.bind(limit + 1)} OFFSET {where.bind(offset)}",
        *where.args,
    )
    width = len(COLUMNS)
    keys = [(row_to_key(row), _stats(row[width:])) for row in rows[:limit]]
    return KeyPage(keys, str(offset + limit) if len(rows) > limit else None)


async def count(db: Database, query: KeyQuery, now_ms: int) -> int:
    """How many keys the query finds over all pages."""
    where = _filter(query, now_ms, "k")
    row = await db.fetch_one(f"SELECT COUNT(*) FROM keys k{where}", *where.args)  # noqa: S608
    return int(row[0]) if row else 0


async def find_stats(db: Database, key_ids: Sequence[str]) -> dict[str, KeyStats]:
    """The counts of these keys; every id has an entry."""
    found = dict.fromkeys(key_ids, KeyStats())
    for start in range(0, len(key_ids), 500):
        part = key_ids[start : start + 500]
        marks = ", ".join(f"${n + 1}" for n in range(len(part)))
        rows = await db.fetch(
            f"SELECT t.key_id, {_STATS} FROM key_stats t WHERE t.key_id IN ({marks})",  # noqa: S608
            *part,
        )
        found.update({row[0]: _stats(row[1:]) for row in rows})
    return found


async def total_requests(db: Database, organization: str | None, owner: str | None) -> int:
    """The sum of requests over the keys in view."""
    where = Where()
    where.equal("organization", organization)
    where.equal("owner", owner)
    row = await db.fetch_one(
        f"SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) FROM key_stats{where}",  # noqa: S608
        *where.args,
    )
    return int(row[0]) if row else 0


def _filter(query: KeyQuery, now_ms: int, alias: str) -> Where:
    where = Where()
    where.equal(f"{alias}.organization", query.organization)
    where.equal("k.owner", query.owner)
    where.equal("k.parent_id", query.parent_id)
    if query.search:
        pattern = f"%{escape_like(query.search.casefold())}%"
        where.add(f"k.search LIKE {where.bind(pattern)} ESCAPE '\\'")
    if query.status == "revoked":
        where.add("k.revoked_at IS NOT NULL")
    elif query.status != "all":
        where.add("k.revoked_at IS NULL")
        if query.status == "expired":
            where.add(f"k.expires_at <= {where.bind(now_ms)}")
        else:
            where.add(f"(k.expires_at IS NULL OR k.expires_at > {where.bind(now_ms)})")
            where.add(f"k.inactive = {1 if query.status == 'inactive' else 0}")
    return where


def _status_expression(now: str) -> str:
    return (
        "CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'"
        f" WHEN k.expires_at <= {now} THEN 'expired'"
        " WHEN k.inactive = 1 THEN 'inactive' ELSE 'active' END"
    )


def _stats(row: Sequence[Any]) -> KeyStats:
    requests, last_used_at, reserved_nanos, spent_nanos = row
    return KeyStats(requests, last_used_at or None, reserved_nanos, spent_nanos)


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 12:
        raise ValueError("the cursor is not one that a list gave out; start again without it")
    return int(cursor)
