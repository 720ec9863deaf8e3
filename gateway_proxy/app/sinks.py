"""Carries finished rows to the plugins' sinks: a bounded queue and a thread for each, far from the requests.

Taking a row never waits and never fails. What a slow or broken sink does not get is counted and told in the log.
"""

import asyncio
import logging
import threading
from collections import deque
from typing import Any

from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.plugins.sink import Rows, Sink

log = logging.getLogger("gateway_proxy.sinks")

MAX_WAITING_ROWS = 20_000
BATCH_ROWS = 500
GATHER_SECONDS = 1.0
TRIES = 3
PAUSE_SECONDS = 1.0  # before the second try; before the third, twice that
CLOSE_SECONDS = 5.0


class SinkThread:
    """Feeds one sink, one batch at a time, until it is closed."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.sink = sink
        self.dropped_rows = 0
        self._rows: deque[LogRow | LedgerRow] = deque()
        self._full = threading.Event()
        self._closing = threading.Event()
        self._told_rows = 0
        # A daemon: a sink that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)
        self._thread.start()

    def take(self, row: LogRow | LedgerRow) -> None:
        """Queue a row; dropped and counted when too many wait."""
        rows = self._rows
        if len(rows) >= MAX_WAITING_ROWS:
            self.dropped_rows += 1
            return
        rows.append(row)
        if len(rows) >= BATCH_ROWS:
            self._full.set()

    async def close(self, timeout_seconds: float = CLOSE_SECONDS) -> None:
        """Deliver what waits, as far as the sink takes it in time; then close it."""
        self._closing.set()
        self._full.set()
        await asyncio.to_thread(self._thread.join, timeout_seconds)
        if self._thread.is_alive():
            log.error("sink %s does not end; %d rows or more are lost", self.name, len(self._rows))

    # --- in the thread

    def _run(self) -> None:
        while True:
            self._full.wait(GATHER_SECONDS)
            self._full.clear()
            while self._rows:
                self._deliver([self._rows.popleft() for _ in range(min(BATCH_ROWS, len(self._rows)))])
            self._tell_dropped()
            if self._closing.is_set() and not self._rows:
                break
        try:
            self.sink.close()
        except Exception:
            log.exception("sink %s failed when it was closed", self.name)

    def _deliver(self, batch: list[Any]) -> None:
        rows = Rows(
            logs=tuple(row for row in batch if type(row) is LogRow),
            ledger=tuple(row for row in batch if type(row) is LedgerRow),
        )
        for attempt in range(1, TRIES + 1):
            try:
                self.sink.write(rows)
            except (Exception, SystemExit) as error:
                log.error("sink %s failed (try %d of %d)", self.name, attempt, TRIES, exc_info=error)
            else:
                return
            if attempt < TRIES:
                self._closing.wait(PAUSE_SECONDS * attempt)
        self.dropped_rows += len(batch)

    def _tell_dropped(self) -> None:
        if self.dropped_rows != self._told_rows:
            log.error("sink %s: %d rows were dropped so far", self.name, self.dropped_rows)
            self._told_rows = self.dropped_rows
