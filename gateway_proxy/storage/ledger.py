"""The books: a batch goes in whole, once, with the sums that budgets, lists and reports are read from."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch, Spending
from gateway_proxy.storage import ledger_rows, usage_sums
from gateway_proxy.storage.database import Database, NumberTooLarge, Statements
from gateway_proxy.storage.ledger_rows import SLOT_MS, Groups
from gateway_proxy.storage.ledger_sums import Sums
from gateway_proxy.storage.outbox import add_events
from gateway_proxy.storage.usage_sums import list_late
from gateway_proxy.storage.where import Where

_NEXT_SEQ = "UPDATE counters SET value = value + $1 WHERE name = 'request_log' RETURNING value"
_ONCE = "ON CONFLICT DO NOTHING"
# Rows that share with fewer others than this go into one statement with all such rows: many small statements cost
# more than what they share saves.
_MIN_SHARING = 16


def _adding(table: str, key: str, columns: Sequence[str]) -> str:
    """The clause that adds to the row that is there."""
    return f"ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(
        f"{c} = {table}.{c} + excluded.{c}" for c in columns
    )


_ADD_SLOTS = _adding("spend_slots", "key_id, slot", ("nanos",))
_ADD_HOURLY = _adding(
    "usage_hourly", "hour, key_id, provider, model, organization, owner", ledger_rows.HOURLY_COLUMNS[6:]
)
_ADD_STATS = (
    _adding("key_stats", "key_id", ("requests", "spent_nanos"))
    + ", last_used_at = CASE WHEN excluded.last_used_at > key_stats.last_used_at"
    " THEN excluded.last_used_at ELSE key_stats.last_used_at END"
)
_SET_RESERVED = "ON CONFLICT (key_id) DO UPDATE SET reserved_nanos = excluded.reserved_nanos"
_SET_CURSOR = (
    "INSERT INTO spool_cursors (gateway_id, segment, position) VALUES ($1, $2, $3)"
    " ON CONFLICT (gateway_id) DO UPDATE SET segment = excluded.segment, position = excluded.position"
)
_ADD_STEPS = _adding(
    "timeline", ", ".join(ledger_rows.TIMELINE_COLUMNS[:4]), ledger_rows.TIMELINE_COLUMNS[4:]
)
_ADD_LATENCIES = _adding("timeline_latency", ", ".join(ledger_rows.LATENCY_COLUMNS[:5]), ("requests",))
_KEYS_PER_SUM = 500
# Nearly every batch of a minute names the same minutes: those that are surely in the store are not written again.
_MAX_MINUTES_KNOWN = 20_000
_Minutes = set[tuple[str, str, int]]


class _Repeated(Exception):
    """Some rows of the batch are in the store already."""


class SqlLedger:
    """`LedgerStore`. A batch belongs to the store until the call returns: do not change it meanwhile."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._minutes: _Minutes = set()

    async def append(self, gateway_id: str, batch: Batch, /) -> None:
        await self.append_and_sum(gateway_id, batch, ())

    async def append_and_sum(
        self, gateway_id: str, batch: Batch, windows: Sequence[tuple[str, int, int]], /
    ) -> list[int]:
        with suppress(_Repeated, NumberTooLarge):
            async with self._db.transaction() as tx:
                books = _Books(tx, self._minutes)
                if await books.insert(batch.ledger, batch.logs) != len(batch.ledger) + len(batch.logs):
                    raise _Repeated
                sums = await books.finish(gateway_id, batch, windows)
            self._remember(books.new_minutes)
            return sums
        async with self._db.transaction() as tx:
            books = _Books(tx, self._minutes, capped=True)
            for row in batch.ledger:
                await books.insert([row], [])
            for log in batch.logs:
                await books.insert([], [log])
            return await books.finish(gateway_id, batch, windows)

    async def sum_spending(
        self,
        plan: Callable[[], Awaitable[Sequence[Spending]]],
        take: Callable[[list[int]], Awaitable[None]],
        /,
    ) -> None:
        """`take` gets the charged nano-USD of each that `plan` names.

        Both are called while nobody else can add to the ledger, and must not take long.
        """
        async with self._db.transaction() as tx:
            wanted = await plan()
            sums = await sum_windows(tx, [(one.key_id, one.start_ms, one.end_ms) for one in wanted])
            await take(
                [
                    nanos - (await _sum_attempts(tx, one) if one.without else 0)
                    for one, nanos in zip(wanted, sums, strict=True)
                ]
            )

    def _remember(self, minutes: _Minutes) -> None:
        """Only after the commit: what was rolled back has to be written."""
        if len(self._minutes) + len(minutes) > _MAX_MINUTES_KNOWN:
            self._minutes.clear()
        self._minutes |= minutes

    async def cursor(self, gateway_id: str, /) -> tuple[int, int] | None:
        row = await self._db.fetch_one(
            "SELECT segment, position FROM spool_cursors WHERE gateway_id = $1", gateway_id
        )
        return (row[0], row[1]) if row else None


class _Books:
    """The statements of one transaction. `capped` takes numbers that no database could hold, cut to size."""

    def __init__(self, tx: Statements, known_minutes: _Minutes, *, capped: bool = False) -> None:
        self._tx = tx
        self._known_minutes = known_minutes
        self.new_minutes: _Minutes = set()
        self._capped = capped
        self._sums = Sums()

    async def insert(self, ledger: Sequence[LedgerRow], logs: Sequence[LogRow]) -> int:
        """Put in the rows that are not there yet, and count them if they all are new; returns how many were."""
        attempts = ledger_rows.group_ledger(ledger)
        requests: Groups = {}
        if logs:
            last = await self._tx.fetch_one(_NEXT_SEQ, len(logs))
            assert last is not None  # the migration made the counter
            requests = ledger_rows.group_logs(logs, last[0] - len(logs) + 1)
        new_attempts = await self._add_groups("ledger", ledger_rows.LEDGER_COLUMNS, attempts)
        new_requests = await self._add_groups("request_log", ledger_rows.LOG_COLUMNS, requests)
        inserted = new_attempts + new_requests
        if inserted == len(ledger) + len(logs):
            self._sums.add_attempts(attempts)
            self._sums.add_requests(requests)
        return inserted

    async def finish(
        self, gateway_id: str, batch: Batch, windows: Sequence[tuple[str, int, int]]
    ) -> list[int]:
        """Add the sums of the rows that were new, then all else of the batch; returns the windows' sums."""
        sums = self._sums
        columns = ledger_rows.STATS_COLUMNS
        await self._add("spend_slots", ("key_id", "slot", "nanos"), sums.slot_rows(), _ADD_SLOTS)
        hourly = list(sums.hourly_rows())
        await self._add("usage_hourly", ledger_rows.HOURLY_COLUMNS, hourly, _ADD_HOURLY)
        await self._add("usage_sums", usage_sums.COLUMNS, await list_late(self._tx, hourly), usage_sums.ADD)
        await self._add("timeline", ledger_rows.TIMELINE_COLUMNS, sums.timeline_rows(), _ADD_STEPS)
        await self._add("timeline_latency", ledger_rows.LATENCY_COLUMNS, sums.latency_rows(), _ADD_LATENCIES)
        await self._add("key_stats", columns, sums.stats_rows(), _ADD_STATS)
        if batch.logs:
            self.new_minutes = sums.minute_rows() - self._known_minutes
            await self._add(
                "request_log_minutes", ledger_rows.MINUTE_COLUMNS, sorted(self.new_minutes), _ONCE
            )
        if batch.reserved:
            reserved = [(key_id, "", "", 0, 0, nanos, 0) for key_id, nanos in batch.reserved.items()]
            await self._add("key_stats", columns, reserved, _SET_RESERVED)
        if batch.events:
            await add_events(self._tx, batch.events)
        if batch.cursor is not None:
            await self._tx.execute(_SET_CURSOR, gateway_id, *batch.cursor)
        return await sum_windows(self._tx, windows)

    async def _add_groups(self, table: str, columns: Sequence[str], groups: Groups) -> int:
        loners, added = [], []
        for key, rows in groups.items():
            shared = key[:-1]
            if len(rows) < _MIN_SHARING:
                loners += [shared + row for row in rows]
            else:
                added.append(await self._add(table, columns, rows, _ONCE, shared))
        if loners:
            added.append(await self._add(table, columns, loners, _ONCE))
        return sum(added)

    async def _add(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        conflict: str,
        shared: Sequence[Any] = (),
    ) -> int:
        if self._capped:
            rows = map(ledger_rows.cap_numbers, rows)
        return await self._tx.insert_many(table, columns, rows, conflict, shared)


async def sum_windows(tx: Statements, windows: Sequence[tuple[str, int, int]]) -> list[int]:
    """Many keys at once: at a start every key with a budget is asked for, and most periods are the same."""
    periods: dict[tuple[int, int], list[str]] = {}
    for key_id, start_ms, end_ms in windows:
        periods.setdefault((start_ms, end_ms), []).append(key_id)
    sums: dict[tuple[str, int, int], int] = {}
    for (start_ms, end_ms), key_ids in periods.items():
        for begin in range(0, len(key_ids), _KEYS_PER_SUM):
            where = Where()
            where.add(f"slot >= {where.bind(start_ms // SLOT_MS)}")
            where.add(f"slot < {where.bind(end_ms // SLOT_MS)}")
            where.add(f"key_id IN ({', '.join(map(where.bind, key_ids[begin : begin + _KEYS_PER_SUM]))})")
            rows = await tx.fetch(
                f"SELECT key_id, CAST(SUM(nanos) AS BIGINT) FROM spend_slots{where} GROUP BY key_id",  # noqa: S608
                *where.args,
            )
            sums.update({(key_id, start_ms, end_ms): int(nanos) for key_id, nanos in rows})
    return [sums.get(window, 0) for window in windows]


async def _sum_attempts(tx: Statements, spending: Spending) -> int:
    """What the ledger has of the attempts that are to be left out."""
    total = 0
    for begin in range(0, len(spending.without), _KEYS_PER_SUM):
        where = Where()
        payer = where.bind(spending.key_id)
        where.add(f"(key_id = {payer} OR parent_id = {payer})")
        where.add(f"admitted_at >= {where.bind(spending.start_ms)}")
        where.add(f"admitted_at < {where.bind(spending.end_ms)}")
        attempts = spending.without[begin : begin + _KEYS_PER_SUM]
        where.add(
            "(request_id, attempt) IN ("
            + ", ".join(
                f"({where.bind(request_id)}, {where.bind(attempt)})" for request_id, attempt in attempts
            )
            + ")"
        )
        row = await tx.fetch_one(f"SELECT CAST(SUM(charged_nanos) AS BIGINT) FROM ledger{where}", *where.args)  # noqa: S608
        total += int(row[0]) if row is not None and row[0] is not None else 0
    return total
