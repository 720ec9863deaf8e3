"""The directory: every live key and secret in memory, as requests look them up.

Plain dictionaries, no I/O and no clock: the follower brings the records, the caller the time. A deleted
key leaves no trace, so that nobody can tell a deleted secret from one that never was.
"""

from collections.abc import Iterable

import orjson

from gateway_proxy.core.key import Key
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.store import KeyRecord


class KeyDirectory:
    """Digest → policy, and key id → policy."""

    __slots__ = ("_by_digest", "_digests", "_policies")

    def __init__(self) -> None:
        self._by_digest: dict[bytes, tuple[KeyPolicy, int | None]] = {}
        self._policies: dict[str, KeyPolicy] = {}
        self._digests: dict[str, tuple[bytes, ...]] = {}

    def __len__(self) -> int:
        return len(self._policies)

    def find(self, digest: bytes, now_ms: int) -> KeyPolicy | None:
        """The policy of the key that has this secret; None if there is none or its grace has ended."""
        entry = self._by_digest.get(digest)
        if entry is None:
            return None
        policy, expires_at = entry
        return policy if expires_at is None or now_ms < expires_at else None

    def policy(self, key_id: str) -> KeyPolicy | None:
        """The policy of a key, whatever its status; None if it is unknown or deleted."""
        return self._policies.get(key_id)

    def apply(self, records: Iterable[KeyRecord]) -> None:
        """Bring these keys to the state of their records."""
        for record in records:
            self._forget_secrets(record.key_id)
            if record.key is None:
                self._policies.pop(record.key_id, None)
            else:
                self._put(record, record.key)

    def replace(self, records: Iterable[KeyRecord]) -> frozenset[str]:
        """Hold exactly these keys; returns the ids of those that are gone."""
        known = frozenset(self._policies)
        records = list(records)
        # Apply first, drop after: no look-up in between may miss a key that stays.
        self.apply(records)
        gone = known.difference(record.key_id for record in records if record.key is not None)
        self.apply(KeyRecord(key_id, None) for key_id in gone)
        return gone

    def _put(self, record: KeyRecord, key: Key) -> None:
        policy = self._policies.get(record.key_id)
        if policy is None or policy.key != key:
            policy = KeyPolicy(key, orjson.dumps(key.metadata).decode())
            self._policies[record.key_id] = policy
        for secret in record.secrets:
            self._by_digest[secret.digest] = (policy, secret.expires_at)
        self._digests[record.key_id] = tuple(secret.digest for secret in record.secrets)

    def _forget_secrets(self, key_id: str) -> None:
        for digest in self._digests.pop(key_id, ()):
            self._by_digest.pop(digest, None)
