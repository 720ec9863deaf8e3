"""The rows of the MCP log on their way into the store.

Those beyond the bound are dropped and counted while it is away. A flood of refusals is logged up to a rate.
"""

from typing import ClassVar

from gateway_proxy.app.write_behind import WriteBehind
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.storage.mcp_log import McpLog

MAX_ROWS = 20_000
MAX_REFUSALS_PER_SECOND = 200


class McpLogBooks(WriteBehind[McpLogRow]):
    """`keeps` says whether rows are kept at all, `keeps_bodies` whether arguments and results stand in them."""

    what: ClassVar[str] = "the MCP log"

    def __init__(self, table: McpLog, clock: Clock) -> None:
        super().__init__()
        self.keeps = self.keeps_bodies = False
        self._table = table
        self._clock = clock
        self._second = self._refusals = 0

    async def write(self, batch: list[McpLogRow]) -> None:
        await self._table.add(batch)

    def note(self, row: McpLogRow) -> None:
        """Never waits and never raises."""
        if not self.keeps:
            return
        if row.status == "denied":
            second = self._clock.monotonic_ns() // 1_000_000_000
            if second != self._second:
                self._second, self._refusals = second, 0
            self._refusals += 1
        if len(self.waiting) >= MAX_ROWS or (
            row.status == "denied" and self._refusals > MAX_REFUSALS_PER_SECOND
        ):
            self.dropped += 1
            return
        self.put(row)
