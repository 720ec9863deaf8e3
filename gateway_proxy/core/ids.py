"""Identifiers: a prefix and a lower-case ULID (https://github.com/ulid/spec).

Sortable by creation time, safe to log. Not for secrets.
"""

import os
import random
import time
from typing import Literal

Prefix = Literal["key", "org", "mem", "gtw", "tok", "req", "evt", "aud"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]  # of every 10-bit number
_DIGITS = _ALPHABET.encode() * 8  # of every byte: five of its bits count
# Ids are unique, not secret: a generator seeded once saves a system call each.
_random = random.Random(os.urandom(32))
_bits = _random.getrandbits
_stamp = (-1, "")  # the last second (of 1024 ms) that an id was made in, and its eight characters
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def random_hex(count: int) -> str:
    """That many random bytes for identifiers, never for secrets; in lower-case hexadecimal."""
    return _bits(8 * count).to_bytes(count, "little").hex()


def new_id(prefix: Prefix) -> str:
    """A fresh id such as `req_01j9…`: 48 bits of milliseconds, 80 bits of randomness."""
    global _stamp
    now_ms = time.time_ns() // 1_000_000
    second, stamp = _stamp
    if now_ms >> 10 != second:
        second = now_ms >> 10
        # Two characters for every ten bits.
        stamp = f"{_PAIRS[second >> 30]}{_PAIRS[second >> 20 & 1023]}{_PAIRS[second >> 10 & 1023]}{_PAIRS[second & 1023]}"
        _stamp = second, stamp
    tail = _bits(128).to_bytes(16, "little").translate(_DIGITS).decode()
    return f"{prefix}_{stamp}{_PAIRS[now_ms & 1023]}{tail}"


def is_id(text: str, prefix: Prefix) -> bool:
    """Whether `text` has the form of an id with this prefix."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == 26 and all(c in _ALPHABET for c in tail)
