"""Time, read in one place: wall time for rows, monotonic time for durations and deadlines.

Code that decides takes a `Clock`, so that tests can turn its hands.
"""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Wall time in Unix milliseconds, UTC."""
        return int(time.time() * 1000)  # half the cost of whole nanoseconds, divided

    # The function itself: a method around it would cost more than it does, several times a request.
    monotonic_ns = staticmethod(time.monotonic_ns)
    """Monotonic time in nanoseconds."""


class FakeClock(Clock):
    """A clock that stands still until it is told to move."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_ns = 1_000_000_000

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        nanos = round(seconds * 1_000_000_000)
        self._monotonic_ns += nanos
        self._now_ms += nanos // 1_000_000

    def set_wall(self, now_ms: int) -> None:
        """Set the wall clock alone, as an operator or NTP would."""
        self._now_ms = now_ms


def format_time(at: int | None) -> str | None:
    """RFC 3339 in UTC of Unix milliseconds, with three decimals only where they are not zero."""
    if at is None:
        return None
    moment = datetime.fromtimestamp(at // 1000, UTC).replace(microsecond=at % 1000 * 1000)
    text = moment.isoformat(timespec="milliseconds" if at % 1000 else "seconds")
    return text.replace("+00:00", "Z")
