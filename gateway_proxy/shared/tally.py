"""How the decisions of a shared limiter went, for metrics."""

from bisect import bisect_left

from gateway_proxy.telemetry.exposition import Histogram

BOUNDS_MS = (1, 2, 5, 10, 20, 30, 40, 50, 100)
_BOUNDS_NS = tuple(bound * 1_000_000 for bound in BOUNDS_MS)


class Decisions:
    """Counts since the start. `local` were taken from this gateway's part of a limit, `unverifiable` refused for want of a budget
    that could be read."""

    def __init__(self) -> None:
        self.count = 0
        self.local = 0
        self.unverifiable = 0
        self.total_ns = 0
        self._buckets = [0] * (len(_BOUNDS_NS) + 1)

    def note(self, duration_ns: int) -> None:
        """A decision that took so long."""
        self.count += 1
        self.total_ns += duration_ns
        self._buckets[bisect_left(_BOUNDS_NS, duration_ns)] += 1

    def histogram(self) -> Histogram:
        """How long they took, in milliseconds."""
        taken = Histogram(BOUNDS_MS)
        taken.counts = list(self._buckets)
        taken.sum = self.total_ns // 1_000_000
        return taken
