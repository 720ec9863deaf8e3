"""Keeps the snapshot of the keys equal to what is in force, and brings it back where the store is out of reach.

A change is on disk before it is acknowledged, so no restart brings a revoked key back. Failing disks stop nothing: then
there is no snapshot until it could be written anew.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.store import CountersMark, KeyRecord
from gateway_proxy.core.tasks import wait_for_event
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.tokens import TokenDirectory
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.snapshot import Saved, Snapshot, SnapshotRefused, State

log = logging.getLogger("gateway_proxy.snapshot")

TOUCH_SECONDS = 1.0
RETRY_SECONDS = 30.0
FILE = "snapshot.db"
MAX_SKEW_MS = 5000
MAX_LEFT_OVER = 10_000
_FAULTS = (sqlite3.Error, OSError, StoreError)


class Keeping:
    """`seq` and `synced_ns` tell how far the gateway is, `revoked_at` whether it may serve, `counters` and `cursor` see State."""

    def __init__(
        self,
        snapshot: Snapshot,
        directory: KeyDirectory,
        tokens: TokenDirectory,
        clock: Clock,
        *,
        seq: Callable[[], int],
        synced_ns: Callable[[], int],
        revoked_at: Callable[[], int | None],
        counters: Callable[[], CountersMark | None] = lambda: None,
        cursor: Callable[[], tuple[int, int] | None] = lambda: None,
    ) -> None:
        self._snapshot = snapshot
        self._directory = directory
        self._tokens = tokens
        self._clock = clock
        self._seq = seq
        self._synced_ns = synced_ns
        self._revoked_at = revoked_at
        self._counters = counters
        self._cursor = cursor
        self._stir = asyncio.Event()
        self._is_current = False  # the file is what is in force, or will be once what is submitted is done
        self._is_written = False
        self._advanced = 0  # records since all was written

    async def recall(self) -> tuple[Saved, int]:
        """What to go on from, and how old it is in nanoseconds. Raises SnapshotRefused, also for one from the future."""
        saved = await self._snapshot.load()
        age_ms = self._clock.now_ms() - saved.state.synced_at
        if age_ms < -MAX_SKEW_MS:
            raise SnapshotRefused(
                f"the snapshot {self._snapshot.path} is from the future: nobody can say how old it is; set the clock"
            )
        self._is_current = self._is_written = True
        return saved, max(0, age_ms) * 1_000_000

    async def run(self) -> None:
        """Note how fresh the keys are, until cancelled; write all of it where that has to be done."""
        while True:
            try:
                if not self._is_current or self._advanced > 2 * len(self._directory) + MAX_LEFT_OVER:
                    await self._rewrite()  # without tokens that have expired
                else:
                    await self._snapshot.advance((), self._state())
            except _FAULTS as error:
                self._fail(error)
                await asyncio.sleep(RETRY_SECONDS)
            await wait_for_event(self._stir, TOUCH_SECONDS)
            self._stir.clear()

    def touch(self) -> None:
        """Have what is noted beside the keys written now."""
        self._stir.set()

    async def advance(self, records: Sequence[KeyRecord], seq: int) -> None:
        """These are in force, up to this change."""
        if not self._is_current:
            return  # what is written anew will have them
        self._advanced += len(records)
        if not self._is_written:
            self._snapshot.advance_later(records, self._state(seq))
            return
        try:
            await self._snapshot.advance(records, self._state(seq))
        except _FAULTS as error:
            self._fail(error)

    async def note(self) -> None:
        """What is noted beside the keys, before this returns."""
        await self.advance((), self._seq())

    async def restart(self) -> None:
        """Everything in force was read anew."""
        self._is_current = False
        await self._snapshot.drop()

    def close(self) -> None:
        self._snapshot.close()

    async def _rewrite(self) -> None:
        buried = self._tokens.buried()
        ids = chain(self._directory.ids(), buried)
        await self._snapshot.drop()
        self._advanced = 0
        self._is_current, self._is_written = True, False  # changes from here on come after it
        await self._snapshot.rewrite(ids, self._directory.record, self._state())
        self._is_written = True
        log.debug("the snapshot was written anew")

    def _state(self, seq: int | None = None) -> State:
        age_ms = (self._clock.monotonic_ns() - self._synced_ns()) // 1_000_000
        return State(
            self._seq() if seq is None else seq,
            self._clock.now_ms() - age_ms,
            tuple(self._tokens.pairs.rows()),
            self._revoked_at(),
            self._counters(),
            self._cursor(),
        )

    def _fail(self, error: BaseException) -> None:
        if self._is_current:
            log.error(
                "the snapshot cannot be written (%s); without it no restart can do without the store", error
            )
        self._is_current = False
