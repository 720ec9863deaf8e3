"""Identifiers: a prefix and a lower-case ULID (https://github.com/ulid/spec).

Sortable by creation time, safe to log. Not for secrets.
"""

import os
import random
import struct
import time
from typing import Literal

Prefix = Literal["key", "org", "mem", "gtw", "tok", "req", "evt", "aud"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters for every 16-bit number, of which the low 10 bits count: 8 look-ups make 80 random bits.
_PAIRS = [_ALPHABET[i >> 5 & 31] + _ALPHABET[i & 31] for i in range(1 << 16)]
_EIGHT = struct.Struct("<8H").unpack
# Ids are unique, not secret: a generator seeded once saves a system call each.
_random = random.Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def random_bits(bits: int) -> int:
    """Random bits for identifiers; never for secrets."""
    return _random.getrandbits(bits)


def new_id(prefix: Prefix) -> str:
    """A fresh id such as `req_01j9…`: 48 bits of milliseconds, 80 bits of randomness."""
    now_ms = time.time_ns() // 1_000_000
    # Ten characters of time, two for every ten bits.
    stamp = (
        f"{_PAIRS[now_ms >> 40]}{_PAIRS[now_ms >> 30 & 1023]}{_PAIRS[now_ms >> 20 & 1023]}"
        f"{_PAIRS[now_ms >> 10 & 1023]}{_PAIRS[now_ms & 1023]}"
    )
    tail = "".join(map(_PAIRS.__getitem__, _EIGHT(_random.getrandbits(128).to_bytes(16, "little"))))
    return f"{prefix}_{stamp}{tail}"


def is_id(text: str, prefix: Prefix) -> bool:
    """Whether `text` has the form of an id with this prefix."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == 26 and all(c in _ALPHABET for c in tail)
