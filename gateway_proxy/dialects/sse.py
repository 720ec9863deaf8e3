"""Where the events of a server-sent event stream begin and end.

Promises: the line rules of the WHATWG HTML standard (section 9.2.6: LF, CRLF or CR), at bounded memory and
without ever changing a byte. What an event says belongs to the dialects.
"""

import re
from collections.abc import Iterator

# A CR before an LF is never a line end of its own, or every CRLF would count as a blank line.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_BLANK_LINES = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2,}")
_LINE_END = re.compile(rb"\r\n|\n|\r")


def last_boundary(data: bytes) -> int:
    """The offset just behind the last blank line of `data`, 0 if there is none."""
    if b"\r" not in data:
        return data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
    end = 0
    for match in _BLANK_LINES.finditer(data):
        end = match.end()
    return end


def first_boundary(data: bytes) -> int:
    """The offset just behind the first blank line of `data`, 0 if there is none."""
    match = _BLANK_LINE.search(data)
    return match.end() if match else 0


def split_events(data: bytes) -> Iterator[bytes]:
    """The pieces of `data`, each up to and with its blank line; the last one may lack it."""
    start = 0
    for match in _BLANK_LINE.finditer(data):
        yield data[start : match.end()]
        start = match.end()
    if start < len(data):
        yield data[start:]


def data_of(event: bytes) -> bytes:
    """The event's payload: its `data` lines, joined by LF. Empty if it has none."""
    line = event.rstrip(b"\r\n")
    if line.startswith(b"event:"):
        line = line.partition(b"\n")[2]
    if line.startswith(b"data:") and b"\n" not in line and b"\r" not in line:  # what nearly all events are
        return line[6:] if line.startswith(b"data: ") else line[5:]
    lines = []
    for line in _LINE_END.split(event.removeprefix(b"\xef\xbb\xbf")):
        if line.startswith(b"data:"):
            lines.append(line[6:] if line.startswith(b"data: ") else line[5:])
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def name_of(event: bytes) -> bytes:
    """The event's `event` line, empty if it has none."""
    for line in _LINE_END.split(event.removeprefix(b"\xef\xbb\xbf")):
        if line.startswith(b"event:"):
            return line[6:].strip()
    return b""


class Assembler:
    """Puts chunks together to whole events.

    Up to `limit` bytes of an unfinished event are kept. A longer event is given up: `overflowed` stays true
    until its blank line has come, and its bytes are not handed out.
    """

    __slots__ = ("_held", "_limit", "_size", "_tail", "overflowed")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: list[bytes] = []
        self._size = 0
        self._tail = b""  # a blank line may be split: the last two bytes of what came before
        self.overflowed = False

    def is_idle(self) -> bool:
        """Whether nothing is kept and nothing was given up: the last byte seen ended an event."""
        return not self._held and not self.overflowed

    def push(self, chunk: bytes) -> tuple[bytes, bytes]:
        """(the rest of a given-up event that this chunk brings, the whole events that it completes)."""
        given_up = b""
        if self.overflowed:
            given_up, chunk = self._resume(chunk)
            if self.overflowed:
                return given_up, b""
        cut = last_boundary(self._tail + chunk) - len(self._tail)
        if cut <= 0:
            given_up += self._keep(chunk)
            return given_up, b""
        self._held.append(chunk[:cut])
        events = b"".join(self._held)
        self._forget()
        if cut < len(chunk):
            rest = chunk[cut:]
            # The events that precede the rest must leave first, so a rest beyond the limit is kept once.
            self._held, self._size, self._tail = [rest], len(rest), rest[-2:]
        return given_up, events

    def release(self) -> bytes:
        """What is still kept, at the end of the stream."""
        rest = b"".join(self._held)
        self._forget()
        return rest

    def _keep(self, chunk: bytes) -> bytes:
        self._held.append(chunk)
        self._size += len(chunk)
        self._tail = (self._tail + chunk)[-2:]
        if self._size <= self._limit:
            return b""
        given_up = b"".join(self._held)
        self._held, self._size, self.overflowed = [], 0, True
        return given_up

    def _resume(self, chunk: bytes) -> tuple[bytes, bytes]:
        cut = first_boundary(self._tail + chunk) - len(self._tail)
        if cut <= 0:
            self._tail = (self._tail + chunk)[-2:]
            return chunk, b""
        self._forget()
        return chunk[:cut], chunk[cut:]

    def _forget(self) -> None:
        self._held, self._size, self._tail, self.overflowed = [], 0, b"", False
