"""Carries rows of the MCP log into the store, behind the calls.

Rows beyond the bound are dropped and counted. A flood of refusals is logged up to a rate.
"""

from collections import deque
from itertools import islice

from gateway_proxy.app.carrying import Carrier
from gateway_proxy.app.refusals import RefusalBound
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.storage.mcp_log import McpLog

BATCH_ROWS = 500
MAX_ROWS = 20_000


class McpLogBooks(Carrier):
    """`keeps` says whether rows are kept at all, `keeps_bodies` whether arguments and results stand in them."""

    def __init__(self, table: McpLog, clock: Clock) -> None:
        super().__init__()
        self.keeps = self.keeps_bodies = False
        self.dropped = 0
        self._table = table
        self._rows: deque[McpLogRow] = deque()
        self._refusals = RefusalBound(clock)

    def note(self, row: McpLogRow) -> None:
        """Never waits and never raises."""
        if not self.keeps:
            return
        is_bounded = row.status == "denied" and not self._refusals.admits()
        if is_bounded or len(self._rows) >= MAX_ROWS:
            self.dropped += 1
            return
        self._rows.append(row)
        self._due.set()

    def _describe(self) -> str:
        return f"the MCP log ({len(self._rows)} rows wait)"

    async def _carry(self) -> None:
        while batch := list(islice(self._rows, BATCH_ROWS)):
            await self._table.add(batch)
            for _ in batch:
                self._rows.popleft()
