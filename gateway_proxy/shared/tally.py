"""How the decisions of a shared limiter went, for metrics."""

from bisect import bisect_left

BOUNDS_NS = (
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
)


class Decisions:
    """Counts since the start. `local` were taken from this gateway's part of a limit, `unverifiable` refused for want of a budget
    that could be read."""

    def __init__(self) -> None:
        self.count = 0
        self.local = 0
        self.unverifiable = 0
        self.total_ns = 0
        self.buckets = [0] * (len(BOUNDS_NS) + 1)

    def note(self, duration_ns: int) -> None:
        """A decision that took so long."""
        self.count += 1
        self.total_ns += duration_ns
        self.buckets[bisect_left(BOUNDS_NS, duration_ns)] += 1
