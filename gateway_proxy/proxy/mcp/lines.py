"""Bytes → lines, of which none is longer than the cap. A longer one is thrown away, but for the id that it answers.

Without that id whoever asked would wait in vain, and ending the stream would end everybody else's calls too.
"""

import re
from dataclasses import dataclass

_ENDS = 256  # bytes; an id stands at the beginning of an answer or at its end
_ID_FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*([0-9]{1,18})\s*,')
_ID_LAST = re.compile(rb'"id"\s*:\s*([0-9]{1,18})\s*\}\s*\Z')


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line over the cap; `id` is None where none could be made out."""

    id: int | None


class Lines:
    """Takes pieces as they come and gives whole lines without their ends."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._head = b""  # of a line that is thrown away
        self._tail = b""

    def push(self, data: bytes) -> list[bytes | TooLong]:
        """The lines that end in this piece. Blank ones are left out."""
        found: list[bytes | TooLong] = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._add(piece)
            if line := self._take():
                found.append(line)
        self._add(rest)
        return found

    def _add(self, piece: bytes) -> None:
        if not piece:
            return
        self._size += len(piece)
        if self._size <= self._max_bytes:
            self._pieces.append(piece)
            return
        if self._pieces or not self._head:
            kept = b"".join((*self._pieces, piece[:_ENDS]))
            self._head, self._tail = kept[:_ENDS], kept[-_ENDS:]
            self._pieces.clear()
        self._tail = (self._tail + piece[-_ENDS:])[-_ENDS:]

    def _take(self) -> bytes | TooLong | None:
        size, self._size = self._size, 0
        if size > self._max_bytes:
            last = _ID_LAST.search(self._tail)
            id = find_first_id(self._head)
            self._head = self._tail = b""
            return TooLong(int(last[1]) if last and id is None else id)
        line = b"".join(self._pieces)
        self._pieces.clear()
        return line if line.strip() else None


def find_first_id(head: bytes) -> int | None:
    """The id of an answer of which only the beginning is known, if it stands there."""
    match = _ID_FIRST.match(head)
    return int(match[1]) if match else None
