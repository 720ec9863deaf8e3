"""`Idempotency-Key`: a request that is sent twice is done once, and answered twice with the same answer.

Answers hold secrets. So they are sealed under a key that is derived from the header's value (and the pepper), and of
the value itself only a keyed hash is stored: whoever reads the store cannot open them.
"""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Awaitable, Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.problem import Conflict, Invalid, Problem, TooMany
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.replays import Replays, TooManyReplays

HEADER = "Idempotency-Key"
KEPT_MS = 600_000
MOST_PER_ACTOR = 1000
_VALUE = re.compile(r"[!-~]{1,255}", re.ASCII)
_NONCE_BYTES = 12


class ReplayGuard:
    """Belongs to one store and pepper."""

    def __init__(self, replays: Replays, clock: Clock, pepper: bytes) -> None:
        self._replays = replays
        self._clock = clock
        self._pepper = pepper

    async def once(
        self, actor: Actor, value: str, request: bytes, work: Callable[[], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        """The answer that `work` gives, and whether it was given before.

        `value` is the header's, `request` all that makes the request what it is. A refusal by `work` is not
        kept. Raises Invalid (another request had this value), Conflict (it still runs), TooMany.
        """
        if not _VALUE.fullmatch(value):
            raise Invalid([FieldError(HEADER, "must be 1 to 255 visible ASCII characters")])
        whom = self._hash(b"actor", _identify(actor))
        digest = self._hash(b"value", f"{whom}\n{value}".encode())
        asked = self._hash(b"request", request)
        now_ms = self._clock.now_ms()
        try:
            known = await self._replays.begin(
                digest, whom, asked, now_ms=now_ms, expires_at=now_ms + KEPT_MS, most=MOST_PER_ACTOR
            )
        except TooManyReplays:
            raise TooMany(f"too many requests with an {HEADER} in ten minutes", KEPT_MS // 1000) from None
        if known is None:
            return await self._do(digest, value, work), False
        if not hmac.compare_digest(known.request_digest, asked):
            message = "was sent before with another request; take a new value for each intent"
            raise Invalid([FieldError(HEADER, message)])
        if not known.sealed:
            message = f"the first request with this {HEADER} still runs; ask again. If it broke off, see what it did"
            raise Conflict(message, code="still_running")
        return self._open(known.sealed, digest, value), True

    async def _do(self, digest: str, value: str, work: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            answer = await work()
        except Problem:  # nothing was changed; after any other fault something may have been
            await self._replays.drop(digest)
            raise
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher(value).encrypt(nonce, answer, digest.encode())
        await self._replays.finish(digest, base64.b64encode(sealed).decode())
        return answer

    def _open(self, sealed: str, digest: str, value: str) -> bytes:
        raw = base64.b64decode(sealed)
        try:
            return self._cipher(value).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], digest.encode())
        except InvalidTag:
            raise Conflict(f"what was kept for this {HEADER} cannot be read; take another value") from None

    def _cipher(self, value: str) -> AESGCM:
        """The pepper is the salt: a value that is easily guessed is no help to who has the store alone."""
        salt = hashlib.sha256(self._pepper).digest()
        derived = HKDF(SHA256(), 32, salt, b"gateway-proxy replay").derive(value.encode())
        return AESGCM(derived)

    def _hash(self, purpose: bytes, content: bytes) -> str:
        return hmac.new(self._pepper, b"replay " + purpose + b"\n" + content, hashlib.sha256).hexdigest()


def _identify(actor: Actor) -> bytes:
    """Another credential, or another role, is somebody else."""
    parts = (
        actor.via,
        actor.credential_id,
        actor.member_id,
        actor.name,
        actor.role,
        actor.organization or "*",
    )
    return "\n".join(parts).encode()
