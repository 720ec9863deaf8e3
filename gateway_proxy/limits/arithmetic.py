"""Token buckets as arithmetic on integers: exact, without rounding drift.

Monotonic nanoseconds come in, whole units go out. No clock, no keys, no storage here.
"""

from gateway_proxy.core.limiter import BucketRule

MINUTE_NS = 60_000_000_000
MILLISECOND_NS = 1_000_000


class Bucket:
    """One token bucket. It starts full; a correction may take it below zero.

    The level is kept in units × nanoseconds per minute, so that a refill is `elapsed * per_minute` without
    a division: in any 60 s exactly `capacity + per_minute` units can pass at most, and none is lost.
    A rule with `per_minute` 0 lets nothing pass.
    """

    __slots__ = ("_at_ns", "_full", "_level", "rule")

    def __init__(self, rule: BucketRule, now_ns: int) -> None:
        self.rule = rule
        self._full = rule.capacity * MINUTE_NS
        self._level = self._full
        self._at_ns = now_ns

    def _refill(self, now_ns: int) -> None:
        elapsed = now_ns - self._at_ns
        if elapsed > 0:
            self._at_ns = now_ns
            level = self._level + elapsed * self.rule.per_minute
            self._level = level if level < self._full else self._full

    def take(self, amount: int, now_ns: int) -> bool:
        """Take `amount` units if they are there; otherwise take nothing and return False."""
        # Runs twice per request, so the refill is written out here; what is refused leaves no trace.
        per_minute = self.rule.per_minute
        level, full = self._level + (now_ns - self._at_ns) * per_minute, self._full
        left = (level if level < full else full) - amount * MINUTE_NS
        if left < 0 or not per_minute:
            return False
        self._level, self._at_ns = left, now_ns
        return True

    def fits(self, amount: int, now_ns: int) -> bool:
        """Whether `take` would take them now."""
        self._refill(now_ns)
        return bool(self.rule.per_minute) and self._level >= amount * MINUTE_NS

    def give(self, amount: int, now_ns: int) -> None:
        """Put units back (never above the capacity), or, if negative, take more without asking."""
        level, full = self._level + (now_ns - self._at_ns) * self.rule.per_minute, self._full
        level = (level if level < full else full) + amount * MINUTE_NS
        self._level, self._at_ns = level if level < full else full, now_ns

    def change(self, rule: BucketRule, now_ns: int) -> None:
        """Another rule from now on: the level stays, clipped to the new capacity."""
        self._refill(now_ns)
        self.rule = rule
        self._full = rule.capacity * MINUTE_NS
        self._level = min(self._full, self._level)

    def set(self, rule: BucketRule, level: int, now_ns: int) -> None:
        """What somebody else has counted, in units × nanoseconds per minute."""
        self.rule = rule
        self._full = rule.capacity * MINUTE_NS
        self._level = level if level < self._full else self._full
        self._at_ns = now_ns

    def available(self, now_ns: int) -> int:
        """Whole units that could be taken now; negative after a correction."""
        self._refill(now_ns)
        return self._level // MINUTE_NS

    def retry_after_ms(self, amount: int, now_ns: int) -> int | None:
        """Milliseconds until `amount` could be taken if nobody else came, rounded up; None: never."""
        per_minute = self.rule.per_minute
        if amount > self.rule.capacity or not per_minute:
            return None
        self._refill(now_ns)
        missing = amount * MINUTE_NS - self._level
        return max(0, -(-missing // (per_minute * MILLISECOND_NS)))

    def reset_ms(self, now_ns: int) -> int:
        """Milliseconds until the bucket is full, rounded up; 0 for one that never refills."""
        if not self.rule.per_minute:
            return 0
        self._refill(now_ns)
        return -(-(self._full - self._level) // (self.rule.per_minute * MILLISECOND_NS))

    def state(self, now_ns: int) -> tuple[int, int]:
        """What a client is told: whole units left, never below 0, and the milliseconds until it is full."""
        per_minute = self.rule.per_minute
        if not per_minute:
            return 0, 0
        full = self._full
        level = self._level + (now_ns - self._at_ns) * per_minute  # as in `take`, and nothing is kept
        if level >= full:
            return full // MINUTE_NS, 0
        left = level // MINUTE_NS
        return (left if left > 0 else 0), -((level - full) // (per_minute * MILLISECOND_NS))

    def is_full(self, now_ns: int) -> bool:
        """Whether forgetting the bucket would change nothing."""
        self._refill(now_ns)
        return self._level == self._full
