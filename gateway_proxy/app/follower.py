"""Follows the store's change log: what an admin changed is in force here a moment later.

What ends a key is in force first. For the rest budget counters are made ready before a new policy is used.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.store import KeyReader, KeyRecord
from gateway_proxy.keys.directory import KeyDirectory

log = logging.getLogger("gateway_proxy.follower")

RETRY_SECONDS = 0.1  # of which a gateway that was cut off is late
REACH_SECONDS = 1.0
REACH_STEPS = 50


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """All that a load makes is kept: the collector would look through it again and again, for half of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Kept(Protocol):
    """A copy of what is in force."""

    async def advance(self, records: Sequence[KeyRecord], seq: int) -> None: ...

    async def restart(self) -> None:
        """All of it was read anew."""
        ...


class Follower:
    """Keeps the directory equal to the store."""

    def __init__(
        self,
        keys: KeyReader,
        directory: KeyDirectory,
        clock: Clock,
        *,
        prepare: Callable[[Sequence[KeyRecord]], Awaitable[None]],
        end_keys: Callable[[frozenset[str]], None],
        acknowledge: Callable[[int], Awaitable[None]],
        kept: Kept | None = None,
    ) -> None:
        self._keys = keys
        self._directory = directory
        self._clock = clock
        self._prepare = prepare
        self._end_keys = end_keys
        self._acknowledge = acknowledge
        self._kept = kept
        self.seq = 0
        self._told = 0  # what was acknowledged
        self.synced_ns = clock.monotonic_ns()

    async def load(self) -> None:
        """Read every key; the counters of budgeted keys are ready when this returns."""
        asked_ns = self._clock.monotonic_ns()
        with _no_garbage():
            seq, records = await self._keys.load_keys()
            await self._prepare(records)
            gone = self._directory.replace(records)
        self._end_keys(gone)
        self.seq = seq
        self.synced_ns = asked_ns
        if self._kept is not None:
            await self._kept.restart()

    def resume(self, records: Sequence[KeyRecord], seq: int, age_ns: int) -> None:
        """Go on from these, which are that old."""
        with _no_garbage():
            self._directory.replace(records)
        self.seq = seq
        self.synced_ns = self._clock.monotonic_ns() - age_ns

    async def follow(self) -> None:
        """Runs until cancelled. A store that does not answer is asked again; the last state stays in force."""
        failing = behind = False
        while True:
            try:
                behind = await self._keys.changed() or behind
                asked_ns = self._clock.monotonic_ns() - round(self._keys.silence_seconds() * 1e9)
                if behind:
                    await self._pull()
                self.synced_ns = max(self.synced_ns, asked_ns)
                await self._tell()
                failing = behind = False
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - any fault of the store: the last state stays in force
                if not failing:
                    log.error("the store cannot be read (%s); keys stay as they were", error)
                failing = True
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await self._keys.wait_for_news()

    async def catch_up(self) -> None:
        """Apply the changes since the last call. After a failure it may be called again."""
        await self._pull()
        await self._tell()

    async def _pull(self) -> None:
        seq, records = await self._keys.changes_after(self.seq)
        if seq < self.seq:
            log.warning("the store's change log ends before what is in force: the store was restored")
            await self.load()
        elif seq > self.seq:
            await self._apply(records)
            if self._kept is not None:
                await self._kept.advance(records, seq)
            self.seq = seq  # last: a heartbeat that comes in between acknowledges nothing that a restart could forget

    async def _tell(self) -> None:
        if self._told != self.seq:
            await self._acknowledge(self.seq)
            self._told = self.seq

    async def _apply(self, records: Sequence[KeyRecord]) -> None:
        ended = [record for record in records if record.key is None or record.key.revoked_at is not None]
        if ended:
            # Needs no counter, and must not wait for one.
            self._directory.advance(ended)
            self._end_keys(frozenset(record.key_id for record in ended))
        await self._prepare(records)
        self._directory.advance(records)

    async def reach(self, seq: int) -> None:
        """Return when the change of this number is in force, or after a second."""
        for _ in range(REACH_STEPS):
            if self.seq >= seq:
                return
            await asyncio.sleep(REACH_SECONDS / REACH_STEPS)

    def staleness_seconds(self) -> float:
        """Since when the store was last heard of."""
        return (self._clock.monotonic_ns() - self.synced_ns) / 1e9
