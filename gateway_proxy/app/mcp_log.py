"""Carries rows of the MCP log into the store, behind the calls.

Promises never to make a call wait: rows go to the store every quarter of a second, and those beyond the bound are
dropped and counted while it is away. A flood of refusals is logged up to a rate.
"""

import asyncio
import contextlib
import logging
from collections import deque
from itertools import islice

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.mcp_log import McpLog

log = logging.getLogger("gateway_proxy.mcp")

FLUSH_SECONDS = 0.25
RETRY_SECONDS = 2.0
BATCH_ROWS = 500
MAX_ROWS = 20_000
MAX_REFUSALS_PER_SECOND = 200


class McpLogBooks:
    """`keeps` says whether rows are kept at all, `keeps_bodies` whether arguments and results stand in them."""

    def __init__(self, table: McpLog, clock: Clock) -> None:
        self.keeps = self.keeps_bodies = False
        self.dropped = 0
        self._table = table
        self._clock = clock
        self._rows: deque[McpLogRow] = deque()
        self._due = asyncio.Event()
        self._second = self._refusals = 0

    def note(self, row: McpLogRow) -> None:
        """Never waits and never raises."""
        if not self.keeps:
            return
        if row.status == "denied":
            second = self._clock.monotonic_ns() // 1_000_000_000
            if second != self._second:
                self._second, self._refusals = second, 0
            self._refusals += 1
        if len(self._rows) >= MAX_ROWS or (
            row.status == "denied" and self._refusals > MAX_REFUSALS_PER_SECOND
        ):
            self.dropped += 1
            return
        self._rows.append(row)
        self._due.set()

    async def run(self) -> None:
        """Write rows until cancelled."""
        while True:
            await self._due.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except StoreError as error:
                log.error("the store does not take the MCP log (%d rows wait): %s", len(self._rows), error)
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """Write what waits. Raises StoreError; then it still waits."""
        self._due.clear()
        while batch := list(islice(self._rows, BATCH_ROWS)):
            try:
                await self._table.add(batch)
            except StoreError:
                self._due.set()
                raise
            for _ in batch:
                self._rows.popleft()

    async def close(self) -> None:
        """A last try."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(5):
                await self.flush()
