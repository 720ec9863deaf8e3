"""Identifiers: a prefix and a lower-case ULID (https://github.com/ulid/spec).

Sortable by creation time, safe to log. Not for secrets.
"""

import os
import time
from typing import Literal

Prefix = Literal["key", "org", "mem", "gtw", "tok", "req", "evt", "aud"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters per table entry: 13 look-ups make the 26 characters of a ULID.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


def new_id(prefix: Prefix) -> str:
    """A fresh id such as `req_01j9…`: 48 bits of milliseconds, 80 bits of randomness."""
    value = ((time.time_ns() // 1_000_000) << 80) | int.from_bytes(os.urandom(10), "big")
    pairs = _PAIRS
    return (
        f"{prefix}_"
        f"{pairs[value >> 120 & 1023]}{pairs[value >> 110 & 1023]}{pairs[value >> 100 & 1023]}"
        f"{pairs[value >> 90 & 1023]}{pairs[value >> 80 & 1023]}{pairs[value >> 70 & 1023]}"
        f"{pairs[value >> 60 & 1023]}{pairs[value >> 50 & 1023]}{pairs[value >> 40 & 1023]}"
        f"{pairs[value >> 30 & 1023]}{pairs[value >> 20 & 1023]}{pairs[value >> 10 & 1023]}"
        f"{pairs[value & 1023]}"
    )


def is_id(text: str, prefix: Prefix) -> bool:
    """Whether `text` has the form of an id with this prefix."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == 26 and all(c in _ALPHABET for c in tail)
