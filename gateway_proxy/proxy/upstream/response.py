"""One answer of a provider, from its complete head to its true end.

The connection pushes bytes in; the relay takes them out, by `take` and `read`, or has them pushed on by
`stream_to`. What is unread is bounded: above HIGH_WATER_BYTES the socket is no longer read. Framing and pooling
are the connection's; nothing here knows about chunks or decompresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway_proxy.proxy.upstream.errors import UpstreamBroken, UpstreamError
from gateway_proxy.proxy.upstream.shapes import Headers, Shape

# take() hands out everything, so reading resumes with an empty buffer: far below any low-water mark.
HIGH_WATER_BYTES = 65_536


class Source(Protocol):
    """The connection, as far as an unfinished response needs it."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def abort(self) -> None: ...


class UpstreamResponse:
    """Header names are lower-case, in the order they came.

    The connection goes back to the pool by itself at the end of the body, read or not. An answer that is not
    read to its end must be closed.
    """

    __slots__ = (
        "_buffered_bytes", "_chunks", "_error", "_finished", "_headers", "_on_data", "_on_end", "_paused", "_source", "_waiter",
        "reason", "shape", "status", "values",
    )  # fmt: skip

    def __init__(
        self,
        source: Source | None,
        status: int,
        reason: bytes,
        headers: Headers,
        shape: Shape | None = None,
        values: tuple[bytes, ...] = (),
        whole: bytes | None = None,
    ) -> None:
        """With a `shape`, headers are what it makes of the `values`. `whole` is all of the body."""
        self.status = status
        self.reason = reason
        self.shape = shape
        self.values = values
        self._headers = headers
        self._source = source
        self._chunks: list[bytes] = [whole] if whole else []
        self._buffered_bytes = 0
        self._finished = whole is not None
        self._paused = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[UpstreamError | None], None] | None = None

    @property
    def headers(self) -> Headers:
        """All headers, names in lower case."""
        if self.shape is not None and not self._headers:
            self._headers = self.shape.headers(self.values)
        return self._headers

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        for known, value in self.headers:
            if known == name:
                return value
        return None

    @property
    def at_eof(self) -> bool:
        """Was the answer received whole and has all of it been taken?"""
        return self._finished and self._error is None and not self._chunks

    def take(self) -> bytes | None:
        """What has come since the last call; None when nothing has yet, b"" at the true end. Never waits.

        Raises UpstreamTimeout or UpstreamBroken when the answer ended any other way, after all that came
        before has been handed out.
        """
        chunks = self._chunks
        if chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self._buffered_bytes = 0
            if self._paused:
                self.resume_reading()
            return data
        if not self._finished:
            return None
        if self._error is not None:
            raise self._error
        return b""

    def take_whole(self) -> bytes | None:
        """The body, if all of it is here and none was taken; None otherwise. Never waits."""
        chunks = self._chunks
        if not self._finished or self._error is not None or len(chunks) != 1:
            return None
        return chunks.pop()

    async def read(self) -> bytes:
        """Like `take`, but waits. A cancelled read closes the answer and with it the connection."""
        data = self.take()
        while data is None:
            if self._waiter is not None:
                raise RuntimeError("another task is reading this answer")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except BaseException:
                self.close()
                raise
            finally:
                self._waiter = None
            data = self.take()
        return data

    async def read_all(self, limit_bytes: int) -> bytes:
        """The whole body. Raises UpstreamBroken, and closes, when it is larger than the limit."""
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            size += len(data)
            if size > limit_bytes:
                self.close()
                raise UpstreamBroken(f"answer larger than {limit_bytes} bytes")
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def stream_to(
        self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]
    ) -> None:
        """Push mode: `on_data` runs inside the socket's callback, once per read; `on_end(None)` at the true end.

        What is buffered already is pushed at once. The receiver bounds its own memory by `pause_reading` and
        `resume_reading`; neither callback runs after `close`.
        """
        self._on_data, self._on_end = on_data, on_end
        if self._chunks:
            data = self.take()
            if data:
                on_data(data)
        if self._finished and self._on_end is not None:
            self._on_data = self._on_end = None
            on_end(self._error)

    def pause_reading(self) -> None:
        """Stop reading the socket; the between-bytes limit rests meanwhile."""
        if self._source is not None and not self._paused:
            self._paused = True
            self._source.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            if self._source is not None:
                self._source.resume_reading()

    def close(self) -> None:
        """Give up what has not been read. An unfinished answer's socket is closed at once; idempotent."""
        self._chunks.clear()
        self._on_data = self._on_end = None
        if self._finished:  # its connection is no longer ours, and whoever waited was told
            return
        source, self._source = self._source, None
        self._finished = True
        self._error = UpstreamBroken("the answer was closed before its end")
        if source is not None:
            source.abort()
        self._wake()

    # --- called by the connection

    def receive(self, data: bytes) -> None:
        """Body bytes of one read of the socket."""
        if self._on_data is not None:
            self._on_data(data)
            return
        self._chunks.append(data)
        self._buffered_bytes += len(data)
        if self._buffered_bytes > HIGH_WATER_BYTES:
            self.pause_reading()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def finish(self, error: UpstreamError | None, data: bytes = b"") -> None:
        """The end, true (None) or not, with the last bytes before it. The connection is no longer ours."""
        self._source = None
        if self._finished:
            return
        self._finished = True
        self._error = error
        on_data = self._on_data
        if on_data is not None:
            if data:
                on_data(data)
            on_end, self._on_data, self._on_end = self._on_end, None, None
            if on_end is not None:  # the receiver may have closed on the last bytes
                on_end(error)
            return
        if data:
            self._chunks.append(data)
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
