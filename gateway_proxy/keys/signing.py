"""The key pairs that sign ephemeral tokens: derived from the pepper and a number, and stored nowhere.

So every gateway with the pepper can verify what any other signed. The store keeps the number in force, and until
when tokens of the numbers before it are believed: as long as the last of them can live.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_FACT = "ephemeral_signing"
MAX_TTL_SECONDS = 86_400
_SALT = b"gateway-proxy ephemeral tokens"
_NUMBER_DIGITS = 9


def load_cryptography() -> None:
    """Import what signs and verifies, which takes a while: for a thread, before the first token comes."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ed25519

    assert jwt and ed25519


@dataclass(frozen=True, slots=True)
class SigningState:
    """The number whose pair signs now, and until when each earlier one is believed (Unix milliseconds)."""

    number: int = 1
    believed_until: Mapping[int, int] = field(default_factory=dict)

    def believes(self, number: int, now_ms: int) -> bool:
        return number == self.number or now_ms < self.believed_until.get(number, 0)

    def rotated(self, now_ms: int) -> "SigningState":
        """The next number, and this one believed until its last token has expired."""
        kept = {number: until for number, until in self.believed_until.items() if now_ms < until}
        return SigningState(self.number + 1, {**kept, self.number: now_ms + MAX_TTL_SECONDS * 1000})


def read_state(text: str | None) -> SigningState:
    """The state that `write_state` wrote; None is the first."""
    if text is None:
        return SigningState()
    value = orjson.loads(text)
    return SigningState(value["number"], {int(number): until for number, until in value["believed"].items()})


def write_state(state: SigningState) -> str:
    believed = {str(number): until for number, until in state.believed_until.items()}
    return orjson.dumps({"number": state.number, "believed": believed}).decode()


class SigningKeys:
    """The pairs of one pepper. A pair is derived at its first use."""

    __slots__ = ("_pairs", "_pepper")

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        self._pairs: dict[int, tuple[str, Ed25519PrivateKey]] = {}

    def private(self, number: int) -> "Ed25519PrivateKey":
        return self._pair(number)[1]

    def public(self, number: int) -> "Ed25519PublicKey":
        return self._pair(number)[1].public_key()

    def kid(self, number: int) -> str:
        """The name of a pair: its number and a fingerprint of the public key."""
        return self._pair(number)[0]

    def find_number(self, kid: object) -> int | None:
        """The number that a name claims; None for what is no name of a pair. `kid` tells whether the claim is true."""
        digits, dash, _ = kid.partition("-") if isinstance(kid, str) else ("", "", "")
        if not dash or not digits.isascii() or not digits.isdecimal() or len(digits) > _NUMBER_DIGITS:
            return None
        return int(digits)

    def _pair(self, number: int) -> "tuple[str, Ed25519PrivateKey]":
        pair = self._pairs.get(number)
        if pair is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            private = Ed25519PrivateKey.from_private_bytes(_derive(self._pepper, number))
            public = private.public_key().public_bytes_raw()
            mark = urlsafe_b64encode(hashlib.sha256(public).digest()[:9]).decode()
            pair = self._pairs[number] = (f"{number}-{mark}", private)
        return pair


def _derive(pepper: bytes, number: int) -> bytes:
    """32 bytes by HKDF-SHA-256 (RFC 5869): extract, then the one block of expand that is needed."""
    extracted = hmac.digest(_SALT, pepper, "sha256")
    return hmac.digest(extracted, b"Ed25519 seed %d\x01" % number, "sha256")
