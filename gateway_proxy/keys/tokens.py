"""Ephemeral tokens as requests look them up: verified once, remembered, and judged by the keys in memory.

Plain dictionaries, no I/O and no clock, like the directory. A token that was made a moment ago elsewhere is good
before its record has come; one whose record is gone was deleted, and is remembered as such while it could live.
"""

from collections.abc import Iterable

import orjson

from gateway_proxy.core.key import Key
from gateway_proxy.core.policy import KeyPolicy, TokenPolicy, compile_policy
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.signing import MAX_TTL_SECONDS, PublicKeys
from gateway_proxy.keys.token import Verified, read_token

MAX_REMEMBERED = 4096
_MAX_LIFE_MS = MAX_TTL_SECONDS * 1000


class _Known:
    """A token whose signature was verified, and its policy as compiled last."""

    __slots__ = ("compiled", "key", "kid", "policy")

    def __init__(self, verified: Verified) -> None:
        self.key, self.kid = verified
        self.policy: KeyPolicy | None = None
        self.compiled: Key | None = None  # what the policy was made of


class TokenDirectory:
    """Secret → policy, for secrets that begin with `gwe_`. `pairs` are those that may have signed them."""

    def __init__(self, directory: KeyDirectory) -> None:
        self._directory = directory
        self.pairs = PublicKeys()
        self._known: dict[bytes, _Known] = {}
        self._buried: dict[str, int] = {}  # key id → from when no token of it can live

    def find(self, digest: bytes, secret: str, now_ms: int) -> KeyPolicy | None:
        """The policy of a token, whatever its status; None if it is none of ours or was deleted.

        `digest` stands for the secret in memory.
        """
        known = self._known.get(digest)
        if known is None:
            verified = read_token(secret, self.pairs, now_ms)
            if verified is None:
                return None
            known = _Known(verified)
            if len(self._known) >= MAX_REMEMBERED:
                self._make_room(now_ms)
            self._known[digest] = known
        elif self.pairs.find(known.kid, now_ms) is None:
            return None
        key = self._directory.key(known.key.id)
        if key is None:
            if known.key.id in self._buried:
                return None
            key = known.key
        return self._policy(known, key)

    def bury(self, key_ids: Iterable[str], now_ms: int) -> None:
        """Remember keys that were deleted: a token of theirs is dead, though its signature is good."""
        for key_id in key_ids:
            self._buried[key_id] = now_ms + _MAX_LIFE_MS

    def buried(self) -> list[str]:
        """The keys that are remembered as deleted."""
        return list(self._buried)

    def sweep(self, now_ms: int) -> None:
        """Forget what has expired."""
        self._buried = {key_id: end for key_id, end in self._buried.items() if now_ms < end}
        self._known = {digest: known for digest, known in self._known.items() if _lives(known, now_ms)}

    def policy(self, key_id: str) -> KeyPolicy | None:
        """The policy of a key or token that is on record, whatever its status."""
        key = self._directory.key(key_id)
        if key is None or key.parent_id is None:
            return self._directory.policy(key_id)
        return self._compile(key, self._directory.policy(key.parent_id))

    def _policy(self, known: _Known, key: Key) -> KeyPolicy:
        parent = None if key.parent_id is None else self._directory.policy(key.parent_id)
        policy = known.policy
        if policy is None or known.compiled is not key or policy.parent is not parent:
            policy = known.policy = self._compile(key, parent)
            known.compiled = key
        return policy

    @staticmethod
    def _compile(key: Key, parent: KeyPolicy | None) -> KeyPolicy:
        metadata = key.metadata or ({} if parent is None else parent.key.metadata)
        text = orjson.dumps(metadata).decode()
        return compile_policy(key, text) if key.parent_id is None else TokenPolicy(key, parent, text)

    def _make_room(self, now_ms: int) -> None:
        self._known = {digest: known for digest, known in self._known.items() if _lives(known, now_ms)}
        while len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]


def _lives(known: _Known, now_ms: int) -> bool:
    return known.key.expires_at is None or now_ms < known.key.expires_at
