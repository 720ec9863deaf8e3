"""The audit log's format: one JSON line an act, each sealed with an HMAC that covers the line before it.

A line is `{"seq":…,…,"prev":"<mac of the line before>","mac":"<hex>"}`. The mac is HMAC-SHA-256 over all bytes of the line
before `,"mac"`, under a key that is derived from the pepper for one gateway: nobody without the pepper can write a
line, change one, or take one out of the middle. What a cut at the end takes shows only against a head that was reported
elsewhere. No files here.
"""

import hashlib
import hmac
import re
from typing import Any, NamedTuple

import orjson

GENESIS = "0" * 64
"""`prev` of the first line."""

_LABEL = b"gateway-proxy audit log\0"
_LINE = re.compile(
    rb'(\{"seq":([1-9][0-9]{0,18}),.*,"prev":"([0-9a-f]{64})"),"mac":"([0-9a-f]{64})"\}', re.DOTALL
)


class Head(NamedTuple):
    """The end of a chain: the last line's number and mac; before the first line, 0 and `GENESIS`."""

    seq: int = 0
    mac: str = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac}"


class Line(NamedTuple):
    """A line taken apart. That it was sealed by us is known only after `is_sealed`."""

    seq: int
    previous: str
    mac: str
    body: bytes


def parse_head(text: str) -> Head | None:
    """The head that `str(head)` wrote; None for an empty text or anything else."""
    match = re.fullmatch(r"([0-9]{1,19}):([0-9a-f]{64})", text)
    return Head(int(match[1]), match[2]) if match else None


def derive_key(pepper: bytes, gateway_id: str) -> bytes:
    """The key of one gateway's log; neither the pepper nor another gateway's key follows from it."""
    return hmac.digest(pepper, _LABEL + gateway_id.encode(), hashlib.sha256)


def seal(key: bytes, head: Head, entry: dict[str, Any]) -> tuple[bytes, Head]:
    """The next line, with its line feed, and the new head."""
    body = orjson.dumps({"seq": head.seq + 1, **entry, "prev": head.mac})[:-1]
    mac = hmac.digest(key, body, hashlib.sha256).hex()
    return body + b',"mac":"' + mac.encode() + b'"}\n', Head(head.seq + 1, mac)


def take_apart(line: bytes) -> Line | None:
    """A line without its line feed; None if it does not have the form of one."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    return Line(int(match[2]), match[3].decode(), match[4].decode(), match[1])


def is_sealed(key: bytes, line: Line) -> bool:
    """Whether the line is as it was written."""
    return hmac.compare_digest(hmac.digest(key, line.body, hashlib.sha256).hex(), line.mac)


def find_change(line: Line) -> int:
    """Up to which number of the store's change log the log has got with this line."""
    try:
        change = orjson.loads(line.body + b"}").get("change", 0)
    except orjson.JSONDecodeError:
        return 0
    return change if isinstance(change, int) else 0
