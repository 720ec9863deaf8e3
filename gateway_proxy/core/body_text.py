"""A body as the log keeps it: text without secrets, what is binary as a note of type and size, cut where it is long.

Promises bounded work and memory whatever the body is. Which bodies are kept, and where, is decided elsewhere.
"""

import re
from mmap import mmap
from typing import NamedTuple

from gateway_proxy.core.redaction import mask_text

MAX_BYTES = 65_536
"""Of a body, and characters of its text in the log."""
_BINARY_BYTES = 1024
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{%d}" % _BINARY_BYTES)
_REST = re.compile(rb"[A-Za-z0-9+/_-]*=*")
_END = re.compile(rb"[A-Za-z0-9+/_-]{62}(?:[A-Za-z0-9+/_-]{2}|[A-Za-z0-9+/_-]=|==)")
_MAX_RUN = 4_194_304
_TEXT = re.compile(
    r"text/|application/(?:[\w.+-]*\+)?(?:json|xml|x-www-form-urlencoded|x-ndjson)\b", re.IGNORECASE
)
_MEDIA_TYPE = re.compile(r"[\w.+/-]{1,100}")


class Held(NamedTuple):
    """What is held of a body until it is written, of how many bytes, and whether its end is missing."""

    data: bytes
    size: int
    is_cut: bool = False


def note_binary(content_type: str, size: int) -> str:
    """What stands in the place of bytes that are no text."""
    found = _MEDIA_TYPE.match(content_type)
    return f"[{found[0] if found else 'binary'}, {size:,} bytes]"


def is_text(content_type: str) -> bool:
    """Whether bytes of this type can be read. What has no type is taken to be text."""
    return not content_type or _TEXT.match(content_type) is not None


def hold(body: bytes | mmap, content_type: str) -> Held:
    """What to keep of a body that is about to be forgotten."""
    size = len(body)
    if not is_text(content_type):
        return Held(note_binary(content_type, size).encode(), size)
    if size <= MAX_BYTES:
        return Held(body[:], size)
    data, is_cut = _shorten(body)
    return Held(data, size, is_cut)


def write_body(held: Held) -> str:
    """The text for the log: not more than `MAX_BYTES` characters, and then a mark that says how much there was."""
    shortened, is_cut = _shorten(held.data)
    text = mask_text(shortened.decode("utf-8", "replace"))
    # No database takes a NUL, and PostgreSQL no lone surrogate; the decoder leaves none of these.
    text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    if len(text) <= MAX_BYTES and not (is_cut or held.is_cut):
        return text
    return f"{text[:MAX_BYTES]}… [cut: {held.size:,} bytes]"


def _shorten(body: bytes | mmap) -> tuple[bytes, bool]:
    """The beginning, without long runs of base64: a picture must not push out the words behind it. And whether it was cut."""
    pieces: list[bytes] = []
    room, at, length = MAX_BYTES, 0, len(body)
    while room > 0 and at < length:
        run = _RUN.search(body, at, min(length, at + room + _BINARY_BYTES))
        start = min(length, at + room) if run is None else run.start()
        pieces.append(body[at:start])
        room -= start - at
        at = start
        if run is not None and room > 0:
            at = _end_of_run(body, start)
            pieces.append(b"[%d bytes]" % ((at - start) * 3 // 4))
            room -= _BINARY_BYTES  # so that a body of many runs is bounded work too
    return b"".join(pieces), at < length


def _end_of_run(body: bytes | mmap, start: int) -> int:
    """Runs are mostly whole strings, whose end is found many times faster than by looking at each character."""
    quote = body.find(b'"', start)
    end = len(body) if quote < 0 else quote
    if (
        end - start > _BINARY_BYTES
        and _END.fullmatch(body[end - 64 : end])
        and body.find(b" ", start, end) < 0
    ):
        return end
    rest = _REST.match(body, start, min(len(body), start + _MAX_RUN))
    return start if rest is None else rest.end()
