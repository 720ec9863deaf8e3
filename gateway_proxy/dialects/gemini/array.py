"""Where the elements of a JSON array begin and end that comes in pieces.

Promises bounded memory and bytes left as they are; what an element says belongs to the tap.
"""

import re
from collections.abc import Iterator

from gateway_proxy.dialects.findings import MAX_EVENT_BYTES

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')


class ArrayReader:
    """`finished` once the array's own bracket has closed. An element beyond `MAX_EVENT_BYTES` is not handed out."""

    __slots__ = ("_depth", "_escaped", "_held", "_in_text", "_size", "finished")

    def __init__(self) -> None:
        self.finished = False
        self._held: list[bytes] = []
        self._size = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The elements (objects) that these bytes complete."""
        start = at = 0  # of the element, of the search
        if self._escaped and data:
            self._escaped = False
            at = 1
        while True:
            match = (_INSIDE if self._in_text else _OUTSIDE).search(data, at)
            if match is None:
                break
            at = match.end()
            mark = match.group()
            if mark == b'"':
                self._in_text = not self._in_text
            elif mark == b"\\":
                if at == len(data):
                    self._escaped = True
                at += 1
            elif mark in b"{[":
                if self._depth == 1:
                    start = match.start()
                    self._forget()
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 1:
                    self._keep(data[start:at])
                    if self._size <= MAX_EVENT_BYTES:
                        yield b"".join(self._held)
                    self._forget()
                self.finished = self._depth <= 0
        if self._depth > 1:
            self._keep(data[start:])

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_EVENT_BYTES:
            self._held.clear()
        else:
            self._held.append(piece)

    def _forget(self) -> None:
        self._held.clear()
        self._size = 0
