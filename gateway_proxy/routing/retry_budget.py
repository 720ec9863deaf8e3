"""How many retries a provider gets: a tenth of its requests, and a few more.

Promises that retries never multiply the load of a provider in trouble. Whether an error may be retried at all
belongs to the relay.
"""

from dataclasses import dataclass

from gateway_proxy.core.clock import Clock

# In thousandths of a retry, so that a request's tenth is exact.
RETRY = 1000
EARNED_PER_REQUEST = 100
MOST_SAVED = 100 * RETRY
FLOOR = 10 * RETRY
FLOOR_PER_SECOND = RETRY


@dataclass(slots=True)
class _Bucket:
    level: int
    refilled_at_ns: int


class RetryBudgets:
    """A token bucket for each provider.

    A request earns a tenth of a retry, saved up to 100 retries. Where little is saved, one retry a second comes back,
    up to 10, so that a quiet gateway can retry at all.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def earn(self, provider: str) -> None:
        """Count a first attempt."""
        bucket = self._buckets.get(provider)
        if bucket is None or bucket.level < FLOOR:  # above it time adds nothing, and need not be asked
            bucket = self._bucket(provider)
        level = bucket.level + EARNED_PER_REQUEST
        bucket.level = level if level < MOST_SAVED else MOST_SAVED

    def take(self, provider: str) -> bool:
        """Take one retry; False if the provider has none left."""
        bucket = self._bucket(provider)
        if bucket.level < RETRY:
            return False
        bucket.level -= RETRY
        return True

    def _bucket(self, provider: str) -> _Bucket:
        now = self._clock.monotonic_ns()
        bucket = self._buckets.get(provider)
        if bucket is None:
            bucket = self._buckets[provider] = _Bucket(FLOOR, now)
        refill = (now - bucket.refilled_at_ns) * FLOOR_PER_SECOND // 1_000_000_000
        if refill:
            # The rest below a thousandth stays to be counted next time.
            bucket.refilled_at_ns += refill * 1_000_000_000 // FLOOR_PER_SECOND
            bucket.level = max(bucket.level, min(bucket.level + refill, FLOOR))
        return bucket
