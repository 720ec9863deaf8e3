"""The directory: every live key and secret in memory, as requests look them up.

Plain dictionaries, no I/O and no clock: the follower brings the records, the caller the time. A deleted
key leaves no trace, so that nobody can tell a deleted secret from one that never was.
"""

from collections.abc import Iterable

import orjson

from gateway_proxy.core.key import Key
from gateway_proxy.core.policy import KeyPolicy, compile_policy
from gateway_proxy.core.store import KeyRecord, StoredSecret


class _Entry:
    """A key, its secrets' digests, and its policy once somebody has asked for it."""

    __slots__ = ("digests", "key", "policy")

    def __init__(self, key: Key, digests: tuple[bytes, ...]) -> None:
        self.key = key
        self.digests = digests
        self.policy: KeyPolicy | None = None

    def compile(self) -> KeyPolicy:
        """Most keys rest most of the time: a policy is made at its key's first use. Raises ValueError for a broken one,
        which refuses the request."""
        key = self.key
        self.policy = policy = compile_policy(key, orjson.dumps(key.metadata).decode())
        return policy


class KeyDirectory:
    """Digest → policy, and key id → policy."""

    __slots__ = ("_by_digest", "_ends", "_entries", "_tokens")

    def __init__(self) -> None:
        self._by_digest: dict[bytes, _Entry] = {}
        self._ends: dict[bytes, int] = {}  # of secrets in their grace: when it ends
        self._entries: dict[str, _Entry] = {}
        self._tokens: dict[str, int] = {}  # ephemeral ones: when they expire

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, digest: bytes, now_ms: int) -> KeyPolicy | None:
        """The policy of the key that has this secret; None if there is none or its grace has ended."""
        entry = self._by_digest.get(digest)
        if entry is None:
            return None
        if self._ends and (end := self._ends.get(digest)) is not None and now_ms >= end:
            return None
        return entry.policy or entry.compile()

    def end_of(self, digest: bytes) -> int | None:
        """When (Unix milliseconds) this secret ends that has been replaced; None if it has not."""
        return self._ends.get(digest)

    def policy(self, key_id: str) -> KeyPolicy | None:
        """The policy of a key, whatever its status; None if it is unknown or deleted."""
        entry = self._entries.get(key_id)
        return None if entry is None else entry.policy or entry.compile()

    def key(self, key_id: str) -> Key | None:
        """The key itself, whatever its status; None if it is unknown or deleted."""
        entry = self._entries.get(key_id)
        return None if entry is None else entry.key

    def ids(self) -> list[str]:
        """Of all keys."""
        return list(self._entries)

    def record(self, key_id: str) -> KeyRecord:
        """What is known of a key, without its pepper's name; may be called from another thread."""
        entry = self._entries.get(key_id)
        if entry is None:
            return KeyRecord(key_id, None)
        secrets = [StoredSecret(digest, "", self._ends.get(digest)) for digest in entry.digests]
        return KeyRecord(key_id, entry.key, tuple(secrets))

    def apply(self, records: Iterable[KeyRecord]) -> None:
        """Bring these keys to the state of their records."""
        for record in records:
            known = self._entries.pop(record.key_id, None)
            self._tokens.pop(record.key_id, None)
            if known is not None:
                for digest in known.digests:
                    self._by_digest.pop(digest, None)
                    self._ends.pop(digest, None)
            if record.key is not None:
                self._put(record, record.key, known)

    def advance(self, records: Iterable[KeyRecord]) -> None:
        """The same, but for records that are older than what is known: news may come twice, and out of order."""
        entries = self._entries
        self.apply(
            record
            for record in records
            if record.key is None
            or (known := entries.get(record.key_id)) is None
            or record.key.revision >= known.key.revision
        )

    def replace(self, records: Iterable[KeyRecord]) -> frozenset[str]:
        """Hold exactly these keys; returns the ids of those that are gone."""
        known = frozenset(self._entries)
        records = list(records)
        # Apply first, drop after: no look-up in between may miss a key that stays.
        self.apply(records)
        gone = known.difference(record.key_id for record in records if record.key is not None)
        self.apply(KeyRecord(key_id, None) for key_id in gone)
        return gone

    def drop_expired_tokens(self, now_ms: int) -> list[str]:
        """Forget ephemeral tokens that have expired, which they say themselves; returns their ids."""
        expired = [key_id for key_id, end in self._tokens.items() if now_ms >= end]
        self.apply(KeyRecord(key_id, None) for key_id in expired)
        return expired

    def _put(self, record: KeyRecord, key: Key, known: _Entry | None) -> None:
        entry = _Entry(key, tuple([secret.digest for secret in record.secrets]))
        if known is not None and known.key == key:
            entry.policy = known.policy
        self._entries[key.id] = entry
        if key.is_ephemeral and key.expires_at is not None:
            self._tokens[key.id] = key.expires_at
        for secret in record.secrets:
            self._by_digest[secret.digest] = entry
            if secret.expires_at is not None:
                self._ends[secret.digest] = secret.expires_at
