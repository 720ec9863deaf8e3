"""Ephemeral tokens as requests look them up: verified once, remembered, and judged by the keys in memory.

Plain dictionaries, no I/O and no clock, like the directory. A token that was made a moment ago elsewhere is good
before its record has come; one whose record is gone was deleted, and is remembered as such while it could live.
"""

from collections.abc import Iterable
from hashlib import sha256

import orjson

from gateway_proxy.core.key import Key
from gateway_proxy.core.policy import KeyPolicy, TokenPolicy
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.signing import MAX_TTL_SECONDS, SigningState
from gateway_proxy.keys.token import TokenText

MAX_REMEMBERED = 4096
_MAX_LIFE_MS = MAX_TTL_SECONDS * 1000


class _Known:
    """A token whose signature was verified, and its policy as compiled last."""

    __slots__ = ("key", "number", "policy")

    def __init__(self, key: Key, number: int) -> None:
        self.key = key
        self.number = number
        self.policy: KeyPolicy | None = None


class TokenDirectory:
    """Secret → policy, for secrets that begin with `gwe_`. `state` is replaced when the signing pair is rotated."""

    def __init__(self, directory: KeyDirectory, text: TokenText) -> None:
        self._directory = directory
        self._text = text
        self.state = SigningState()
        self._known: dict[bytes, _Known] = {}
        self._buried: dict[str, int] = {}  # key id → from when no token of it can live

    def find(self, secret: str, now_ms: int) -> KeyPolicy | None:
        """The policy of a token, whatever its status; None if it is none of ours or was deleted."""
        mark = sha256(secret.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(mark)
        if known is None:
            verified = self._text.read(secret, self.state, now_ms)
            if verified is None:
                return None
            known = _Known(*verified)
            if len(self._known) >= MAX_REMEMBERED:
                self._make_room(now_ms)
            self._known[mark] = known
        elif not self.state.believes(known.number, now_ms):
            return None
        key = self._directory.key(known.key.id)
        if key is None:
            if known.key.id in self._buried:
                return None
            key = known.key
        return self._policy(known, key)

    def bury(self, records: Iterable[KeyRecord], now_ms: int) -> None:
        """Remember the keys that were deleted: a token of theirs is dead, though its signature is good."""
        for record in records:
            if record.key is None:
                self._buried[record.key_id] = now_ms + _MAX_LIFE_MS

    def sweep(self, now_ms: int) -> None:
        """Forget what has expired."""
        self._buried = {key_id: end for key_id, end in self._buried.items() if now_ms < end}
        self._known = {mark: known for mark, known in self._known.items() if _lives(known, now_ms)}

    def _policy(self, known: _Known, key: Key) -> KeyPolicy:
        parent = None if key.parent_id is None else self._directory.policy(key.parent_id)
        policy = known.policy
        if policy is None or policy.key is not key or policy.parent is not parent:
            metadata = key.metadata or ({} if parent is None else parent.key.metadata)
            text = orjson.dumps(metadata).decode()
            policy = KeyPolicy(key, text) if key.parent_id is None else TokenPolicy(key, parent, text)
            known.policy = policy
        return policy

    def _make_room(self, now_ms: int) -> None:
        self._known = {mark: known for mark, known in self._known.items() if _lives(known, now_ms)}
        while len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]


def _lives(known: _Known, now_ms: int) -> bool:
    return known.key.expires_at is None or now_ms < known.key.expires_at
