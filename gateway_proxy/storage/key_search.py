"""Lists of keys: search, status, order, pages, and the counts that stand beside each key.

Made for 100,000 keys: names, owners, times and requests are walked in index order; only status is sorted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway_proxy.core.key import Key
from gateway_proxy.storage.database import Database
from gateway_proxy.storage.key_rows import COLUMNS, SELECTED, row_to_key
from gateway_proxy.storage.where import Where

StatusFilter = Literal["all", "active", "inactive", "expired", "revoked"]
KindFilter = Literal["all", "key", "ephemeral"]
KeySort = Literal["name", "owner", "status", "requests", "created_at"]
_SORTED_BY = {"name": "k.search", "owner": "k.owner", "created_at": "k.created_at", "requests": "t.requests"}
_IDS_PER_STATEMENT = 500
_STATS = "t.requests, t.last_used_at, t.reserved_nanos, t.spent_nanos"


@dataclass(frozen=True, slots=True)
class KeyStats:
    """A key's counts as the books know them. `spent_nanos` includes what its ephemeral tokens spent."""

    requests: int = 0
    last_used_at: int | None = None
    reserved_nanos: int = 0
    spent_nanos: int = 0


@dataclass(frozen=True, slots=True)
class KeyLabel:
    """What a report says of a key."""

    name: str
    metadata: dict[str, Any]
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """What to list. None means all; `cursor` is the `next_cursor` of the page before, `skip` passes over more keys."""

    organization: str | None = None
    owner: str | None = None
    parent_id: str | None = None
    search: str = ""
    status: StatusFilter = "all"
    kind: KindFilter = "all"
    sort: KeySort = "created_at"
    descending: bool = False
    limit: int = 50
    cursor: str | None = None
    skip: int = 0


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
    offset = _offset(query.cursor) + max(0, query.skip)
    limit = max(1, query.limit)
    # Stats lead where their order is wanted, unless a filter leaves few keys to be sorted; CROSS JOIN makes it so.
    few = bool(query.search) or query.owner is not None or query.parent_id is not None
    stats_lead = query.sort == "requests" and not few
    # An expression is not looked up in an index: the one on requests is to be walked.
    where = _filter(query, now_ms, "COALESCE(t.organization, '')" if stats_lead else "k.organization")
    order = _SORTED_BY[query.sort] if query.sort != "status" else _status_expression(where.bind(now_ms))
    source, tie = "keys k", "k.id"
    if query.sort == "requests":
        source = "key_stats t CROSS JOIN keys k" if stats_lead else "keys k CROSS JOIN key_stats t"
        tie = "t.key_id"
        where.add("t.key_id = k.id")
    direction = "DESC" if query.descending else "ASC"
    # Ids alone, so that what has to be sorted is small.
    found = await db.fetch(
        f"SELECT k.id FROM {source}{where} ORDER BY {order} {direction}, {tie} {direction}"  # noqa: S608
        f" LIMIT {where.bind(limit + 1)} OFFSET {where.bind(offset)}",
        *where.args,
    )
    keys = await _load(db, [row[0] for row in found[:limit]])
    return KeyPage(keys, str(offset + limit) if len(found) > limit else None)


async def count(db: Database, query: KeyQuery, now_ms: int) -> int:
    """How many keys the query finds over all pages."""
    where = _filter(query, now_ms, "k.organization")
    row = await db.fetch_one(f"SELECT COUNT(*) FROM keys k{where}", *where.args)  # noqa: S608
    return int(row[0]) if row else 0


async def find_stats(db: Database, key_ids: Sequence[str]) -> dict[str, KeyStats]:
    """The counts of these keys; every id has an entry."""
    found = dict.fromkeys(key_ids, KeyStats())
    for start in range(0, len(key_ids), _IDS_PER_STATEMENT):
        where = Where()
        where.add(f"t.key_id IN ({', '.join(map(where.bind, key_ids[start : start + _IDS_PER_STATEMENT]))})")
        rows = await db.fetch(f"SELECT t.key_id, {_STATS} FROM key_stats t{where}", *where.args)  # noqa: S608
        found.update({row[0]: _stats(row[1:]) for row in rows})
    return found


async def find_labels(db: Database, key_ids: Sequence[str]) -> dict[str, KeyLabel]:
    """Name and metadata of these keys; of deleted ones the name is left."""
    found: dict[str, KeyLabel] = {}
    for start in range(0, len(key_ids), _IDS_PER_STATEMENT):
        where = Where()
        where.add(f"id IN ({', '.join(map(where.bind, key_ids[start : start + _IDS_PER_STATEMENT]))})")
        gone = await db.fetch(f"SELECT id, name FROM deleted_keys{where}", *where.args)  # noqa: S608
        found.update({key_id: KeyLabel(name, {}, deleted=True) for key_id, name in gone})
        there = await db.fetch(f"SELECT id, name, policy_json FROM keys{where}", *where.args)  # noqa: S608
        found.update(
            {id_: KeyLabel(name, orjson.loads(text).get("metadata", {})) for id_, name, text in there}
        )
    return found


async def total_requests(db: Database, organization: str | None, owner: str | None) -> int:
    """The sum of requests over the keys in view."""
    where = Where()
    # Nearly all rows: to walk the index that has all three columns is quicker than to look each one up.
    where.equal("COALESCE(organization, '')" if owner is None else "organization", organization)
    where.equal("owner", owner)
    row = await db.fetch_one(
        f"SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) FROM key_stats{where}",  # noqa: S608
        *where.args,
    )
    return int(row[0]) if row else 0


def _filter(query: KeyQuery, now_ms: int, organization_column: str) -> Where:
    where = Where()
    where.equal(organization_column, query.organization)
    where.equal("k.owner", query.owner)
    where.equal("k.parent_id", query.parent_id)
    if query.kind != "all":
        where.equal("k.kind", query.kind)
    if query.search:
        pattern = f"%{escape_like(query.search.casefold())}%"
        where.add(f"k.search LIKE {where.bind(pattern)} ESCAPE '\\'")
    if query.status == "revoked":
        where.add("k.revoked_at IS NOT NULL")
    elif query.status != "all":
        now = where.bind(now_ms)
        where.add("k.revoked_at IS NULL")
        if query.status == "expired":
            where.add(f"(k.expires_at <= {now} OR {_asleep(now)} = 2)")
        else:
            where.add(f"(k.expires_at IS NULL OR k.expires_at > {now})")
            where.add(f"{_asleep(now)} = {1 if query.status == 'inactive' else 0}")
    return where


async def _load(db: Database, key_ids: Sequence[str]) -> list[tuple[Key, KeyStats]]:
    """These keys in this order, without those that were deleted meanwhile."""
    found: dict[str, tuple[Key, KeyStats]] = {}
    width = len(COLUMNS)
    for start in range(0, len(key_ids), _IDS_PER_STATEMENT):
        where = Where()
        where.add(f"k.id IN ({', '.join(map(where.bind, key_ids[start : start + _IDS_PER_STATEMENT]))})")
        rows = await db.fetch(
            f"SELECT {SELECTED}, {_STATS} FROM keys k JOIN key_stats t ON t.key_id = k.id{where}",  # noqa: S608
            *where.args,
        )
        found.update({row[0]: (row_to_key(row), _stats(row[width:])) for row in rows})
    return [found[key_id] for key_id in key_ids if key_id in found]


def _status_expression(now: str) -> str:
    return (
        f"CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.expires_at <= {now} THEN 'expired'"
        f" ELSE CASE {_asleep(now)} WHEN 2 THEN 'expired' WHEN 1 THEN 'inactive' ELSE 'active' END END"
    )


def _asleep(now: str) -> str:
    """1 where a key is paused and 2 where it has expired, for tokens also by the key they were made from; else 0.

    CASE, so that only tokens cost a look at another row. What ended with its key says so itself.
    """
    parents = f"CASE WHEN p.expires_at <= {now} THEN 2 WHEN p.inactive = 1 THEN 1 ELSE k.inactive END"
    found = f"(SELECT {parents} FROM keys p WHERE p.id = k.parent_id)"  # noqa: S608
    return f"CASE WHEN k.parent_id IS NULL THEN k.inactive ELSE COALESCE({found}, k.inactive) END"


def _stats(row: Sequence[Any]) -> KeyStats:
    requests, last_used_at, reserved_nanos, spent_nanos = row
    return KeyStats(requests, last_used_at or None, reserved_nanos, spent_nanos)


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 12:
        raise ValueError("the cursor is not one that a list gave out; start again without it")
    return int(cursor)
