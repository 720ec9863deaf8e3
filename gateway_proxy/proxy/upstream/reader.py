"""Bytes in, one HTTP/1.1 response out: framing after RFC 9112 on llhttp, and no I/O.

llhttp is strict about syntax (bare LF, folded headers, control characters, CL with TE, duplicate CL, chunk
sizes). This file adds what it leaves open: HTTP/1 only, `chunked` as the one transfer coding, bounded heads,
interim answers and chunk overhead, no 101, and whether the connection may be used again. Nothing is decoded
or decompressed.
"""

from __future__ import annotations

import httptools

MAX_INTERIM_ANSWERS = 8
# Chunk extensions and trailers carry nothing for us; this many bytes in a row without body are an attack.
MAX_OVERHEAD_BYTES = 65_536

_UNTIL_CLOSE, _COUNTED, _CHUNKED = range(3)
_VERSION_PREFIX = b"HTTP/1."


class BadFraming(Exception):
    """The bytes are not a valid response; the text says which rule was broken."""


class ResponseReader:
    """Reads one response after another from the same connection: `begin`, then `feed` until `complete`.

    `body` collects dechunked bytes in order; the caller takes them out (and clears the list) after each feed.
    """

    __slots__ = (
        "_feed", "_framing", "_head_bytes", "_head_limit_bytes", "_interim_count", "_overhead_bytes", "_parser",
        "_prefix", "_skip_body", "body", "complete", "head_complete", "headers", "on_body", "reason", "reusable", "status",
    )  # fmt: skip

    def __init__(self, head_limit_bytes: int) -> None:
        self._head_limit_bytes = head_limit_bytes
        self.body: list[bytes] = []
        # The parser calls list.append itself: no Python frame per chunk.
        self.on_body = self.body.append
        self.begin(skip_body=False)
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data

    def begin(self, *, skip_body: bool) -> None:
        """Make ready for the next response; `skip_body` for the answer to HEAD."""
        self._skip_body = skip_body
        self._head_bytes = 0
        self._overhead_bytes = 0
        self._interim_count = 0
        self._prefix = b""
        self._framing = _UNTIL_CLOSE
        self.head_complete = False
        self.complete = False
        self.reusable = False
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def release(self) -> None:
        """No more will be fed. Parser and reader know each other: untied, they need no garbage collector."""
        del self._parser, self._feed

    @property
    def http_version(self) -> bytes:
        """`1.0` or `1.1`."""
        return self._prefix[5:]

    @property
    def started(self) -> bool:
        """Has any byte of this response come?"""
        return self._head_bytes > 0

    def feed(self, data: bytes) -> None:
        """Take what the socket gave. Raises BadFraming; bytes beyond a complete response only cost its reuse."""
        if not self.head_complete:
            if self._head_bytes == 0 and data[:7] == _VERSION_PREFIX:
                self._prefix = data[:8]
                self._head_bytes = len(data)
            else:
                self._check_head(data)
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise BadFraming(_reason_of(error)) from None
            self.reusable = False
        if self.complete:
            if self.reusable:
                self.reusable = self._ends_with(data)
        elif not self.head_complete:
            if self._head_bytes > self._head_limit_bytes:
                raise BadFraming(f"response head larger than {self._head_limit_bytes} bytes")
        elif self.body:
            self._overhead_bytes = 0
        else:
            self._overhead_bytes += len(data)
            if self._overhead_bytes > MAX_OVERHEAD_BYTES + self._head_limit_bytes:
                raise BadFraming("endless chunk extension or trailer")

    def ends_at_eof(self) -> bool:
        """Is a close by the peer, now, the true end of this response (RFC 9112 §6.3, last case)?"""
        return self.complete or (self.head_complete and self._framing == _UNTIL_CLOSE)

    def _check_head(self, data: bytes) -> None:
        self._head_bytes += len(data)
        prefix = self._prefix
        if len(prefix) < 8:
            self._prefix = prefix = prefix + data[: 8 - len(prefix)]
            if prefix[:7] != _VERSION_PREFIX[: len(prefix)]:
                raise BadFraming("the answer is not HTTP/1.0 or HTTP/1.1")

    def _ends_with(self, data: bytes) -> bool:
        """Did these bytes end with the response? llhttp swallows empty lines behind it, and those are bytes too."""
        if self._framing == _COUNTED and self.body:
            return data.endswith(self.body[-1])
        return data.endswith(b"\r\n\r\n") and not data.endswith(b"\r\n\r\n\r\n")

    # --- called by httptools

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False
            raise BadFraming("bytes after the end of the response")

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_complete:  # a trailer
            return
        name = name.lower()
        value = value.rstrip()
        if name == b"content-length":
            self._framing = _COUNTED
        elif name == b"transfer-encoding":
            if self._framing == _CHUNKED or value.lower() != b"chunked":
                raise BadFraming("a transfer coding other than chunked")
            self._framing = _CHUNKED
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._check_interim(status)
            return
        if self._head_bytes > self._head_limit_bytes:
            # One large segment can hold a small head and much body: count what the head really had.
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._head_limit_bytes:
                raise BadFraming(f"response head larger than {self._head_limit_bytes} bytes")
        self.status = status
        self.head_complete = True
        if status in (204, 304):
            self._framing = _COUNTED
        elif self._skip_body:
            self.complete = True

    def on_message_complete(self) -> None:
        if self.head_complete:
            if not self._skip_body:
                self.complete = True
                self.reusable = self._parser.should_keep_alive()
            return
        self.reason = b""
        self.headers = []
        self._framing = _UNTIL_CLOSE

    def _check_interim(self, status: int) -> None:
        if status < 100:
            raise BadFraming("an impossible status code")
        if status == 101:
            raise BadFraming("upstream switched protocols unasked")
        if self._framing != _UNTIL_CLOSE:
            raise BadFraming("an interim answer with a body")
        self._interim_count += 1
        if self._interim_count > MAX_INTERIM_ANSWERS:
            raise BadFraming("too many interim answers")


def _reason_of(error: Exception) -> str:
    cause = error.__context__
    if isinstance(cause, BadFraming):
        return str(cause)
    return f"invalid HTTP: {error}"
