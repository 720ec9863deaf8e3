"""Carries ids that providers made between memory and the store, behind the requests.

Promises that an id can be named as soon as its answer is under way, and after a restart once a quarter of a second has
passed. Whose an id is, is decided elsewhere.
"""

import asyncio
from collections.abc import Iterable

from gateway_proxy.app.carrying import Carrier
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import Unavailable
from gateway_proxy.core.kept import MadeId
from gateway_proxy.routing.made_ids import MadeIds
from gateway_proxy.stages.kept import RETENTION_MS
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.made_ids import MadeIdRows

BATCH_ROWS = 1000
MAX_NAMED = 512  # of one request that are not in memory


class IdBooks(Carrier):
    """`memory` is what stages ask; this fills it and empties it into the store."""

    def __init__(self, rows: MadeIdRows, clock: Clock) -> None:
        super().__init__()
        self.memory = MadeIds()
        self._rows = rows
        self._clock = clock

    def find(self, id: str) -> MadeId | None:
        """From memory. What is older than the retention is forgotten."""
        made = self.memory.find(id)
        if made is not None and made.made_at < self._clock.now_ms() - RETENTION_MS:
            return None
        return made

    def note(self, made: Iterable[MadeId], lasts: bool) -> None:
        """Never waits and never raises."""
        if self.memory.note(made, lasts):
            self._due.set()

    async def recall(self, ids: tuple[str, ...]) -> None:
        """Bring what the store knows of these into memory. Raises Unavailable while it is away."""
        try:
            found = await self._rows.find(ids[:MAX_NAMED], self._clock.now_ms() - RETENTION_MS)
        except StoreError as error:
            raise Unavailable(
                "What this request names cannot be looked up at the moment.", code="store_stale",
                detail=str(error), retry_after_ms=1000,
            ) from error  # fmt: skip
        for made in found:
            self.memory.learn(made)

    def _describe(self) -> str:
        return "the ids of stored responses"

    async def _carry(self) -> None:
        while batch := self.memory.unwritten(BATCH_ROWS):
            if await self._rows.add(batch) < len(batch):  # somebody had one of them before
                for made in await self._rows.find([made.id for made in batch], 0):
                    self.memory.learn(made)
            self.memory.wrote(batch)

    async def prune(self) -> None:
        """Delete what is older than the retention, a batch at a time. Raises StoreError."""
        while await self._rows.prune(self._clock.now_ms() - RETENTION_MS):
            await asyncio.sleep(0.05)
