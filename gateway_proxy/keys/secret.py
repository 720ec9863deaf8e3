"""Secrets: how they are minted, recognised offline, previewed and digested.

A secret is a prefix, 32 random bytes in base62 padded to 43 characters, and the CRC-32 of all
characters before it in base62 padded to 6. The checksum lets scanners and the gateway tell a typing
error from an unknown secret without a look-up; it proves nothing. Where digests are kept is the
store's business.
"""

import hashlib
import hmac
import os
import re
from typing import Literal
from zlib import crc32

SecretPrefix = Literal["gwk", "gwa"]

SECRET_LENGTH = 53
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_DIGITS = 43
_CHECKED_LENGTH = 47  # everything before the checksum
# Three look-ups of two digits make the checksum's six; one by one would cost twice the time.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_FORM = re.compile(r"gw[ka]_[0-9A-Za-z]{49}")
_BLOCK_BYTES = 64  # of SHA-256
_FINGERPRINT_LABEL = b"gateway-proxy pepper fingerprint"


def mint(prefix: SecretPrefix) -> str:
    """A fresh secret with 256 bits of randomness from the operating system."""
    return compose(prefix, os.urandom(32))


def compose(prefix: SecretPrefix, randomness: bytes) -> str:
    """The secret that holds these 32 bytes."""
    if len(randomness) != 32:
        raise ValueError("a secret holds exactly 32 bytes")
    value = int.from_bytes(randomness, "big")
    digits = []
    for _ in range(_BODY_DIGITS):
        value, digit = divmod(value, 62)
        digits.append(_ALPHABET[digit])
    checked = f"{prefix}_{''.join(reversed(digits))}"
    return checked + _checksum(checked)


def looks_like_secret(text: str) -> bool:
    """Whether the text has the form of a secret and its checksum fits."""
    # fullmatch before the checksum: it also makes sure that the text is ASCII.
    return (
        len(text) == SECRET_LENGTH
        and _FORM.fullmatch(text) is not None
        and _checksum(text[:_CHECKED_LENGTH]) == text[_CHECKED_LENGTH:]
    )


def preview(secret: str) -> str:
    """What may be shown of a secret: its first 8 characters, `…`, and the 4 before the checksum.

    An ephemeral token has no checksum: its last 4.
    """
    if len(secret) != SECRET_LENGTH:
        return f"{secret[:8]}…{secret[-4:]}"
    return f"{secret[:8]}…{secret[_CHECKED_LENGTH - 4 : _CHECKED_LENGTH]}"


def digest(pepper: bytes, secret: str) -> bytes:
    """HMAC-SHA-256 of the secret under the pepper, the only form in which a secret is stored."""
    return hmac.digest(pepper, secret.encode("utf-8", "surrogatepass"), "sha256")


MAX_REMEMBERED = 4096


class Digester:
    """`digest` under one pepper, for every request: the two keyed SHA-256 states of HMAC (RFC 2104) are made
    once and copied, which costs a third of making them anew. The digests of the last few secrets are remembered."""

    __slots__ = ("_inner", "_known", "_outer")

    def __init__(self, pepper: bytes) -> None:
        if len(pepper) > _BLOCK_BYTES:
            pepper = hashlib.sha256(pepper).digest()
        block = pepper.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._known: dict[str, bytes] = {}

    def digest(self, secret: str) -> bytes:
        """The same bytes as the function `digest`."""
        known = self._known.get(secret)
        if known is not None:
            return known
        inner = self._inner.copy()
        inner.update(secret.encode("utf-8", "surrogatepass"))
        outer = self._outer.copy()
        outer.update(inner.digest())
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        found = self._known[secret] = outer.digest()
        return found


def pepper_id(pepper: bytes) -> str:
    """A public fingerprint of the pepper: tells two peppers apart, leads back to neither."""
    return hmac.digest(pepper, _FINGERPRINT_LABEL, "sha256")[:8].hex()


def _checksum(checked: str) -> str:
    value = crc32(checked.encode())
    return f"{_PAIRS[value // 14776336]}{_PAIRS[value // 3844 % 3844]}{_PAIRS[value % 3844]}"
