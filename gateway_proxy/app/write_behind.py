"""Carries rows from memory into the store, behind the requests.

Promises never to make a request wait and never to touch one: rows go to the store every quarter of a second, in order, and wait
while it is away. How many may wait, and what becomes of the others, is for those to say who put rows in.
"""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections import deque
from itertools import islice
from typing import ClassVar, Generic, TypeVar

from gateway_proxy.storage.database import StoreError

Row = TypeVar("Row")
FLUSH_SECONDS = 0.25
RETRY_SECONDS = 2.0
CLOSE_SECONDS = 5.0
log = logging.getLogger("gateway_proxy.books")


class WriteBehind(ABC, Generic[Row]):
    """A queue and the task that empties it. `what` names it in our log."""

    what: ClassVar[str]
    batch_rows: ClassVar[int] = 500

    def __init__(self) -> None:
        self.waiting: deque[Row] = deque()
        self.dropped = 0
        self._due = asyncio.Event()

    @abstractmethod
    async def write(self, batch: list[Row]) -> None:
        """Bring these into the store; a row that is there already stays as it is. Raises StoreError."""

    def put(self, row: Row) -> None:
        """Never waits and never raises."""
        self.waiting.append(row)
        self._due.set()

    def take(self) -> Row:
        """The row that is written, out of the queue."""
        return self.waiting.popleft()

    async def run(self) -> None:
        """Write rows until cancelled."""
        while True:
            await self._due.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except StoreError as error:
                log.error(
                    "the store does not take %s (%d rows wait): %s", self.what, len(self.waiting), error
                )
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """Write what waits. Raises StoreError; then it still waits."""
        self._due.clear()
        while batch := list(islice(self.waiting, self.batch_rows)):
            try:
                await self.write(batch)
            except StoreError:
                self._due.set()
                raise
            for _ in batch:
                self.take()

    async def close(self) -> None:
        """A last try."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
