"""Carries rows from memory into the store, behind the requests and in order; the spool holds them until then.

`intent`, `settle`, `log` and `event` never wait. The first row after a pause goes to the store within 250 ms; under
load one batch goes there every 500 ms or 1000 rows, so that what each transaction costs is shared by many. While
the store is away ledger rows wait (bounded: then the books are unhealthy, and budgeted keys are refused), log
rows beyond their bound are dropped and counted. A row that the store refuses for ever is set aside in a file,
so that the others can pass.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.store import Batch, LedgerStore
from gateway_proxy.core.tasks import spawn, wait_for_event
from gateway_proxy.ledger.isolate import Isolation
from gateway_proxy.ledger.replay import recover
from gateway_proxy.ledger.spool import Position, Spool, SpoolUnavailable

log = logging.getLogger("gateway_proxy.books")

BATCH_ROWS = 1000
MAX_LEDGER_ROWS = 100_000
MAX_LOG_ROWS = 20_000
MAX_EVENT_ROWS = 10_000
FLUSH_SECONDS = 0.25
BUSY_FLUSH_SECONDS = 0.5
IDLE_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 5.0

Window = tuple[str, int, int]


class BooksWriter:
    """The books of one gateway: one per process, used from one event loop."""

    def __init__(
        self,
        store: LedgerStore,
        spool: Spool,
        gateway_id: str,
        clock: Clock,
        reserved: Callable[[], dict[str, int]] = dict,
        row_errors: tuple[type[Exception], ...] = (),
        written: Callable[[Sequence[LedgerRow]], None] | None = None,
    ) -> None:
        """`reserved` gives what changed since its last call: key id → nano-USD reserved now, for display.

        `row_errors` are the store's errors that a row is to blame for, never the store's own state. `written` is told
        of ledger rows that are in the store, or set aside.
        """
        self._store = store
        self._spool = spool
        self._gateway_id = gateway_id
        self._clock = clock
        self._reserved = reserved
        self._written = written
        self._row_errors = (*row_errors, ValueError, TypeError, OverflowError)
        self._reserved_due: dict[str, int] = {}
        self._ledger: deque[tuple[LedgerRow, Position | None]] = deque()
        self._logs: deque[LogRow] = deque()
        self._events: deque[EventRow] = deque()
        self._turn = asyncio.Lock()
        self._due = asyncio.Event()
        self._full = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_held = False
        self.cursor: Position | None = None  # so far the spool is known to be in the store
        self.dropped_logs = 0
        self.set_aside_rows = 0
        self.store_healthy = True

    # What the data plane calls: never waits

    @property
    def healthy(self) -> bool:
        """Whether an intent could be written now and its row be kept until the store takes it."""
        return self._spool.healthy and len(self._ledger) < MAX_LEDGER_ROWS

    @property
    def unsent(self) -> dict[str, int]:
        """Rows that wait for the store, by table."""
        return {"ledger": len(self._ledger), "request_log": len(self._logs), "events": len(self._events)}

    def intent(self, row: LedgerRow, /) -> bool:
        """Write down that an attempt begins. False when it could not be written."""
        if len(self._ledger) >= MAX_LEDGER_ROWS:
            return False
        try:
            self._spool.intent(row)
        except (SpoolUnavailable, TypeError):  # TypeError: a value that JSON cannot hold
            return False
        return True

    def settle(self, row: LedgerRow, /) -> None:
        """Take a finished row. The caller settles the limiter in the same step, without an await between."""
        try:
            position: Position | None = self._spool.settle(row)
        except (SpoolUnavailable, TypeError) as error:
            position = None
            log.warning("%s attempt %d is kept in memory only: %s", row.request_id, row.attempt, error)
        self._ledger.append((row, position))
        self._due.set()
        if len(self._ledger) >= BATCH_ROWS:
            self._full.set()

    def log(self, row: LogRow, /) -> None:
        """Take a log row; dropped and counted when too many wait."""
        if len(self._logs) >= MAX_LOG_ROWS:
            self.dropped_logs += 1
            return
        self._logs.append(row)
        self._due.set()
        if len(self._logs) >= BATCH_ROWS:
            self._full.set()

    def event(self, row: EventRow, /) -> None:
        """Take an event for the outbox."""
        if len(self._events) >= MAX_EVENT_ROWS:
            log.error("ALARM: event %s was dropped: the store is away and too many wait", row.dedupe)
            return
        self._events.append(row)
        self._due.set()

    # Life

    async def replay(self, recovered: Callable[[Sequence[LedgerRow]], None] | None = None) -> int:
        """Carry what earlier processes left into the store; returns how many rows that were. `recovered` is told of them.

        Before anything is flushed, and before budgets are loaded; what is settled meanwhile waits, see `hold`. May be
        repeated after it failed.
        Raises the store's error while it is away, SpoolUnavailable when orphans cannot be written down.
        """
        first = self._spool.first_segment
        cursor = await self._store.cursor(self._gateway_id)
        count = 0
        batch = Batch()
        for row, position in recover(self._spool, cursor, self._clock.now_ms()):
            batch.ledger.append(row)
            if (
                position[0] < first
            ):  # an orphan stands behind what was settled since the start and still waits
                batch.cursor = position
            count += 1
            if len(batch.ledger) >= BATCH_ROWS:
                await self._recover(batch, recovered)
                batch = Batch()
        await self._recover(batch, recovered)
        end = (first, 0) if self._ledger else self._spool.position()
        await self._store.append(self._gateway_id, Batch(cursor=end))
        self._spool.release_before(end[0])
        self._is_held, self.cursor = False, end
        return count

    async def _recover(self, batch: Batch, recovered: Callable[[Sequence[LedgerRow]], None] | None) -> None:
        await self._send(batch)
        if recovered is not None:
            recovered(batch.ledger)

    def hold(self, cursor: Position | None) -> None:
        """Bring nothing into the store before `replay` has, which begins there or further on."""
        self._is_held, self.cursor = True, cursor

    def start(self) -> None:
        """Begin to flush in the background."""
        self._task = spawn(self._run(), "books")

    async def stop(self, timeout_seconds: float = 5.0) -> None:
        """Flush what waits, as far as the store takes it in time; the rest stays in the spool."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._is_held:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.flush()
        except Exception as error:  # noqa: BLE001 - whatever the store says, the rows are in the spool
            log.warning("%d ledger rows stay in the spool for the next start: %s", len(self._ledger), error)

    async def _run(self) -> None:
        failures = 0
        while True:
            if failures:
                await asyncio.sleep(_backoff_seconds(failures))
            else:
                busy = self._due.is_set()
                await wait_for_event(self._due, IDLE_SECONDS)
                await wait_for_event(self._full, BUSY_FLUSH_SECONDS if busy else FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception as error:  # noqa: BLE001 - any fault of the store: keep the rows, try again
                failures += 1
                self.store_healthy = False
                if failures == 1 or failures % 60 == 0:
                    log.error(
                        "the store does not take the books (%d rows wait): %s", len(self._ledger), error
                    )
            else:
                if failures:
                    log.warning("the store takes the books again")
                failures = 0
                self.store_healthy = True

    # Flush

    async def flush(self) -> None:
        """Bring everything up to now into the store. Raises the store's error; then all of it still waits."""
        async with self._turn:
            ledger, logs, events = len(self._ledger), len(self._logs), len(self._events)
            self._due.clear()
            self._full.clear()
            while True:
                batch = self._next_batch(BATCH_ROWS)
                if not (batch.ledger or batch.logs or batch.events or batch.reserved):
                    return
                await self._append(batch)
                ledger, logs = ledger - len(batch.ledger), logs - len(batch.logs)
                events -= len(batch.events)
                if ledger <= 0 and logs <= 0 and events <= 0:
                    return

    async def flush_and_sum(self, plan: Callable[[], Sequence[Window]]) -> list[int]:
        """Flush everything and sum the windows in one transaction.

        `plan` names the windows; it is called in the very step in which the last batch is cut, so what is
        settled before it is in the sums and what is settled after it is not. It may be called again after a
        failed attempt. Raises the store's error.
        """
        async with self._turn:
            while len(self._ledger) > BATCH_ROWS:
                await self._append(self._next_batch(BATCH_ROWS))
            batch = self._next_batch(None)
            windows = plan()
            try:
                sums = await self._store.append_and_sum(self._gateway_id, batch, windows)
            except Exception:  # noqa: BLE001
                # One row may be at fault: the plain way sets it aside, or raises when the store is away.
                await self._append(batch)
                batch = self._next_batch(None)
                windows = plan()
                sums = await self._store.append_and_sum(self._gateway_id, batch, windows)
            self._done(batch)
            return sums

    def _next_batch(self, rows: int | None) -> Batch:
        self._reserved_due.update(self._reserved())
        taken = list(islice(self._ledger, rows))
        positions = [position for _, position in taken if position is not None]
        return Batch(
            ledger=[row for row, _ in taken],
            logs=list(islice(self._logs, rows)),
            events=list(islice(self._events, rows)),
            reserved=dict(self._reserved_due),
            cursor=positions[-1] if positions else None,
        )

    async def _append(self, batch: Batch) -> None:
        await self._send(batch)
        self._done(batch)

    async def _send(self, batch: Batch) -> None:
        try:
            await self._store.append(self._gateway_id, batch)
        except Exception as error:  # noqa: BLE001 - the isolation tells whose fault it is, or raises it again
            isolation = Isolation(self._store, self._gateway_id, self._spool.folder, self._row_errors)
            set_aside = await isolation.append(batch, error, self._clock.now_ms())
            self.set_aside_rows += set_aside

    def _done(self, batch: Batch) -> None:
        for _ in batch.ledger:
            self._ledger.popleft()
        for _ in batch.logs:
            self._logs.popleft()
        for _ in batch.events:
            self._events.popleft()
        for key_id, nanos in batch.reserved.items():
            if self._reserved_due.get(key_id) == nanos:
                del self._reserved_due[key_id]
        if batch.cursor is not None:
            self.cursor = batch.cursor
            self._spool.release_before(batch.cursor[0])
        if self._written is not None and batch.ledger:
            self._written(batch.ledger)


def _backoff_seconds(failures: int) -> float:
    return float(min(MAX_BACKOFF_SECONDS, FLUSH_SECONDS * 2 ** min(failures, 10)))
