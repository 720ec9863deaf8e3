"""The one form of request head that our own front serves; whatever is formed otherwise is aiohttp's to judge.

It promises to accept a proper subset of RFC 9112: HTTP/1.1 in ASCII, CRLF lines, one Host, a body of announced
length or none, a plain path. Being refused here is no verdict: the strict edge reads the same bytes again.
"""

import re
from typing import TYPE_CHECKING

from multidict import CIMultiDict, CIMultiDictProxy, istr

if TYPE_CHECKING:
    from gateway_proxy.proxy.head_facts import HeadFacts

MAX_HEAD_BYTES = 8190
MAX_HEADERS = 128
END_OF_HEAD = b"\r\n\r\n"

# No segment begins with a dot and none is empty, so there is nothing to normalise and nothing to decode.
_LINE = re.compile(
    r"(GET|HEAD|POST|DELETE) (((?:/[A-Za-z0-9_~-][A-Za-z0-9_.~:@-]*)+/?)(?:\?[!\"$-~]*)?) HTTP/1\.1\r\n",
    re.ASCII,
)
# Anchored at each line's beginning: a line that does not fit is missing from the matches, which are counted.
# A value begins with a visible character, so that a long row of blanks has one reading only.
_FIELD = re.compile(r"^([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*((?:[!-~][\t -~]*)?)\r\n", re.ASCII | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]+)", re.ASCII | re.IGNORECASE | re.MULTILINE)
_HOST = re.compile(r"[A-Za-z0-9_.\-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?", re.ASCII)

_CONTENT_LENGTH, _HOST_NAME, _CONNECTION = istr("Content-Length"), istr("Host"), istr("Connection")
_OTHERS_BUSINESS = (istr("Transfer-Encoding"), istr("Expect"), istr("Upgrade"))
_MAX_LENGTH_DIGITS = 15


class PlainHead:
    """One head, and what `facts` the handler made of it.

    `target` is path and query as sent. `headers` are all but Content-Length, so that a head that differs in
    nothing else can be `matched` with this one instead of being parsed again.
    """

    __slots__ = (
        "_after_length",
        "_until_length",
        "facts",
        "headers",
        "keep_alive",
        "method",
        "path",
        "target",
    )

    def __init__(
        self, data: bytes, method: str, target: str, path: str, headers: "CIMultiDict[str]", keep_alive: bool
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.keep_alive = keep_alive
        self.facts: HeadFacts | None = None
        self._until_length, self._after_length = data, b""
        if _CONTENT_LENGTH in headers:
            digits = _LENGTH.search(data)
            assert digits is not None  # the head's own parser found it
            self._until_length, self._after_length = data[: digits.start(1)], data[digits.end(1) :]
            del headers[_CONTENT_LENGTH]
        self.headers = CIMultiDictProxy(headers)

    def match(self, data: bytes, end: int) -> int:
        """The body's length if `data[:end]` is this head, perhaps with another Content-Length; -1 if it is not."""
        until, after = self._until_length, self._after_length
        if not after:
            return 0 if end == len(until) and data.startswith(until) else -1
        rest = end - len(after)
        if not data.startswith(until) or not data.startswith(after, rest):
            return -1
        digits = data[len(until) : rest]
        if not digits.isdigit() or len(digits) > _MAX_LENGTH_DIGITS:
            return -1
        length = int(digits)
        return length if not length or self.method == "POST" else -1


def may_become_plain(data: bytes) -> bool:
    """Whether more bytes could complete this beginning to a plain head."""
    return len(data) <= MAX_HEAD_BYTES and data[:1] in b"GHPD" and data.count(b"\n") == data.count(b"\r\n")


def parse_plain_head(data: bytes) -> tuple[PlainHead, int] | None:
    """The head and its body's length; `data` runs from the request line to the last header's line end.

    None: not plain.
    """
    if len(data) > MAX_HEAD_BYTES or not data.isascii():
        return None
    text = data.decode("ascii")
    line = _LINE.match(text)
    if line is None:
        return None
    fields = _FIELD.findall(text, line.end())
    if (
        len(fields) != text.count("\n") - 1
        or len(fields) > MAX_HEADERS
        or " \r\n" in text
        or "\t\r\n" in text
    ):
        return None
    headers = CIMultiDict(fields)
    for name in _OTHERS_BUSINESS:
        if name in headers:
            return None
    hosts = headers.getall(_HOST_NAME, ())
    if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
        return None
    method, target, path = line.groups()
    body_length = 0
    lengths = headers.getall(_CONTENT_LENGTH, ())
    if lengths:
        digits = lengths[0]
        if len(lengths) != 1 or not digits.isdigit() or len(digits) > _MAX_LENGTH_DIGITS:
            return None
        body_length = int(digits)
        if body_length and method != "POST":
            return None
    keep_alive = True
    wishes = headers.getall(_CONNECTION, ())
    if wishes:
        wish = wishes[0].lower()
        if len(wishes) != 1 or wish not in ("keep-alive", "close"):
            return None
        keep_alive = wish == "keep-alive"
    return PlainHead(data, method, target, path, headers, keep_alive), body_length
