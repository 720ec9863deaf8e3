"""What a tap finds out, for all dialects; see `core.dialect.UsageTap`. How bytes are read belongs to each dialect."""

from typing import Any, ClassVar

import orjson

from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage

MAX_EVENT_BYTES = 8 * 1024 * 1024  # of an event that is only read: a finished response repeats all its text
MAX_ANSWER_BYTES = 16 * 1024 * 1024  # of an answer that is no stream; a longer one passes unread


class Findings:
    """The members that `UsageTap` promises, with nothing found yet."""

    __slots__ = (
        "_route",
        "failed",
        "finished",
        "invalid_usage",
        "reported_model",
        "service_tier",
        "streamed_tokens",
        "usage",
        "usage_final",
    )
    needs_end: ClassVar[bool] = False

    def __init__(self, route: Route) -> None:
        self.usage: Usage | None = None
        self.usage_final = False
        self.invalid_usage = False
        self.reported_model = ""
        self.service_tier: str | None = None
        self.finished = False
        self.failed = False
        self.streamed_tokens = 0
        self._route = route


class WholeAnswer(Findings):
    """For an answer in one piece: passes everything on and has `_read` look at it once, at the end."""

    __slots__ = ("_chunks", "_limit", "_size")

    def __init__(self, route: Route, limit_bytes: int = MAX_ANSWER_BYTES) -> None:
        Findings.__init__(self, route)
        if route.free:
            self.usage, self.usage_final = Usage(), True
        self._chunks: list[bytes] = []
        self._size = 0
        self._limit = limit_bytes

    def feed(self, chunk: bytes) -> bytes:
        """Hands on the chunk as it is."""
        self._size += len(chunk)
        if self._size <= self._limit:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()
        return chunk

    def at_event_boundary(self) -> bool:
        """There are no events to write comments between."""
        return False

    def close(self) -> bytes:
        """Reads the answer. Only the transport knows whether it was whole, and says so by calling this."""
        self.finished = True
        try:
            answer = orjson.loads(b"".join(self._chunks))  # one chunk is not copied
        except orjson.JSONDecodeError:
            return b""  # sound, subtitles, plain text
        finally:
            self._chunks.clear()
        if type(answer) is dict:
            self._read(answer)
        return b""

    def _read(self, answer: dict[str, Any]) -> None:
        raise NotImplementedError
