"""A tap for server-sent events that are only read: what comes is handed on as it came, whole events are looked at.

How a stream is cut into chunks changes nothing, and memory is bounded: a longer event than `MAX_EVENT_BYTES` passes
unread. What events say belongs to the dialects.
"""

from gateway_proxy.core.route import Route
from gateway_proxy.dialects import sse
from gateway_proxy.dialects.findings import MAX_EVENT_BYTES, Findings

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")


class EventTap(Findings):
    """A subclass reads whole events in `_read`."""

    __slots__ = ("_assembler", "_is_clean")

    def __init__(self, route: Route) -> None:
        Findings.__init__(self, route)
        self._assembler = sse.Assembler(MAX_EVENT_BYTES)
        self._is_clean = (
            True  # the last byte ended an event: a chunk of whole events need not be put together
        )

    def feed(self, chunk: bytes) -> bytes:
        """Hands on the chunk as it is."""
        if self._is_clean and chunk.endswith(_EVENT_ENDS):
            self._read(chunk)
        elif chunk:
            _, events = self._assembler.push(chunk)
            if events:
                self._read(events)
            self._is_clean = self._assembler.is_idle()
        return chunk

    def at_event_boundary(self) -> bool:
        """True between events."""
        return self._is_clean

    def close(self) -> bytes:
        """Reads what came without its blank line; nothing was held back."""
        rest = self._assembler.release()
        if rest:
            self._read(rest)
        return b""

    def _read(self, events: bytes) -> None:
        raise NotImplementedError
