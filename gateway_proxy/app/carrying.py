"""Carries what was noted into the store, behind the requests.

Promises never to make a request wait: what was noted goes to the store every quarter of a second, and stays in memory
while that is away. What is noted, and how much of it is kept, belongs to those who inherit.
"""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod

from gateway_proxy.storage.database import StoreError

log = logging.getLogger("gateway_proxy.books")

FLUSH_SECONDS = 0.25
RETRY_SECONDS = 2.0
CLOSE_SECONDS = 5.0


class Carrier(ABC):
    """Whoever inherits sets `_due` when there is something to carry."""

    def __init__(self) -> None:
        self._due = asyncio.Event()

    @abstractmethod
    def _describe(self) -> str:
        """What is carried, for the log."""

    @abstractmethod
    async def _carry(self) -> None:
        """Write all that waits. Raises StoreError; then what is not written still waits."""

    async def run(self) -> None:
        """Write what is noted until cancelled."""
        while True:
            await self._due.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except StoreError as error:
                log.error("the store does not take %s: %s", self._describe(), error)
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """Write what waits. Raises StoreError; then it still waits."""
        self._due.clear()
        try:
            await self._carry()
        except StoreError:
            self._due.set()
            raise

    async def close(self) -> None:
        """A last try."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
