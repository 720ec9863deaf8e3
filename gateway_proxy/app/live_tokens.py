"""Keeps what this gateway knows of ephemeral tokens equal to the store: who signs them, and which were deleted."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.signing import MAX_TTL_SECONDS, load_cryptography
from gateway_proxy.keys.tokens import TokenDirectory
from gateway_proxy.storage.keys import SqlKeys


class Forgetful(Protocol):
    """Whoever has counters of keys."""

    def forget(self, key_id: str, /) -> None: ...


class LiveTokens:
    """`directory` is where requests look tokens up."""

    def __init__(self, keys: SqlKeys, known: KeyDirectory, limiter: Forgetful, clock: Clock) -> None:
        self._keys = keys
        self._known = known
        self._limiter = limiter
        self._clock = clock
        self.directory = TokenDirectory(known)

    async def load(self) -> None:
        """Learn which tokens were deleted while they could still live. Raises StoreError."""
        now_ms = self._clock.now_ms()
        self.directory.bury(await self._keys.deleted_since(now_ms - MAX_TTL_SECONDS * 1000), now_ms)

    async def prepare(self, records: Sequence[KeyRecord]) -> None:
        """Before these records are in force. Raises StoreError."""
        pairs = await self._keys.signing_keys()
        if pairs:
            await asyncio.to_thread(load_cryptography)
        self.directory.pairs.take(pairs)
        self.bury(record.key_id for record in records if record.key is None)

    def bury(self, key_ids: Iterable[str]) -> None:
        """These keys have ended: what was signed for them is believed no more."""
        self.directory.bury(key_ids, self._clock.now_ms())

    def drop_expired(self) -> None:
        """Forget tokens that have expired, with their counters."""
        now_ms = self._clock.now_ms()
        for key_id in self._known.drop_expired_tokens(now_ms):
            self._limiter.forget(key_id)
        self.directory.sweep(now_ms)
