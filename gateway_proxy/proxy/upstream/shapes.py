"""Heads of answers that come again and again: known by their shape, they need no parser.

A shape is what successive heads of one provider have in common: the status line, the headers' names and order, and
the values that stay the same. It is learned from heads that the strict reader has judged, and matches a proper subset
of what that would accept: one read holds the whole answer, HTTP/1.1 with CRLF lines in ASCII, one Content-Length that
is the number of bytes behind the head, no transfer coding, no Connection header. Not to match is no verdict.
"""

from __future__ import annotations

import re
from typing import Any

Headers = list[tuple[bytes, bytes]]

MAX_SHAPES = 8
MAX_LESSONS = 64  # of one provider: compiling costs more than parsing, so heads that never settle are left to the parser
_VARYING = rb"([!-~]++(?:[\t ]++[!-~]++)*+)"
_LENGTH = b"content-length"
_OTHERS_BUSINESS = frozenset((b"transfer-encoding", b"connection", b"upgrade", b"trailer"))
_LENGTH_DIGITS = rb"([0-9]{1,15}+)"
_VALUE = re.compile(_VARYING)
_REASON = re.compile(rb"[ -~]*")


class Shape:
    """One kind of head. `names` are in lower case, `written` as the provider writes them; `varying` are the positions whose
    values differ, `length_at` which of them is the length; `notes` are for whoever reads many heads of one shape."""

    __slots__ = (
        "_values",
        "length_at",
        "match",
        "names",
        "notes",
        "reason",
        "status",
        "varying",
        "written",
    )

    def __init__(
        self,
        status: int,
        reason: bytes,
        headers: Headers,
        written: tuple[bytes, ...],
        varying: frozenset[int],
    ) -> None:
        self.status = status
        self.reason = reason
        self.names = tuple([name for name, _ in headers])
        self._values = tuple([value for _, value in headers])
        self.written = written
        self.varying = varying
        self.notes: dict[object, Any] = {}
        lines = [rb"HTTP/1\.1 %d %b\r\n" % (status, re.escape(reason))]
        for position, name in enumerate(written):
            if self.names[position] == _LENGTH:
                value = _LENGTH_DIGITS
            else:
                value = _VARYING if position in varying else re.escape(self._values[position])
            lines.append(rb"%b:[\t ]*+%b\r\n" % (re.escape(name), value))
        self.match = re.compile(b"".join(lines) + rb"\r\n").match
        self.length_at = sum(position < self.names.index(_LENGTH) for position in varying)

    def parts(self) -> list[tuple[bytes, bytes | None]]:
        """The headers in order; None stands for the next of the values that vary."""
        return [
            (name, None if at in self.varying else self._values[at]) for at, name in enumerate(self.names)
        ]

    def differing(self, headers: Headers) -> frozenset[int]:
        """What varies once these values of the same names are taken in."""
        values = self._values
        return self.varying.union([at for at, (_, value) in enumerate(headers) if value != values[at]])

    def headers(self, values: tuple[bytes, ...]) -> Headers:
        """All headers of a head of this shape with these values."""
        rest = iter(values)
        return [(name, next(rest) if value is None else value) for name, value in self.parts()]


Known = tuple[Shape, tuple[bytes, ...], bytes]
"""A head's shape, the values that vary in it, and the body behind it."""


class Shapes:
    """The shapes of one provider's heads."""

    __slots__ = ("_known", "_lessons")

    def __init__(self) -> None:
        self._known: list[Shape] = []
        self._lessons = 0

    def read(self, data: bytes) -> Known | None:
        """One read of a socket as shape, values and body of a whole answer; None: not known."""
        for shape in self._known:
            found = shape.match(data)
            if found is not None:
                values = found.groups()
                body = data[found.end() :]
                return (shape, values, body) if int(values[shape.length_at]) == len(body) else None
        return None

    def learn(self, data: bytes, status: int, reason: bytes, headers: Headers) -> None:
        """`data` was a whole answer, and its head reads so."""
        if self._lessons >= MAX_LESSONS or not _is_plain(status, reason, headers):
            return
        head = data[: data.find(b"\r\n\r\n")].split(b"\r\n")
        written = tuple([line.partition(b":")[0] for line in head[1:]])
        if [name.lower() for name in written] != [name for name, _ in headers]:
            return
        self._lessons += 1
        varying = {[name for name, _ in headers].index(_LENGTH)}
        for position, shape in enumerate(self._known):
            if (shape.status, shape.reason, shape.written) == (status, reason, written):
                varying |= shape.differing(headers)
                del self._known[position]
                break
        self._known.insert(0, Shape(status, reason, headers, written, frozenset(varying)))
        del self._known[MAX_SHAPES:]


def _is_plain(status: int, reason: bytes, headers: Headers) -> bool:
    names = [name for name, _ in headers]
    return (
        status not in (204, 205, 304)
        and names.count(_LENGTH) == 1
        and _OTHERS_BUSINESS.isdisjoint(names)
        and not any(b"%" in name for name in names)  # notes are formats
        and _REASON.fullmatch(reason) is not None
        and all(_VALUE.fullmatch(value) for _, value in headers)
    )
