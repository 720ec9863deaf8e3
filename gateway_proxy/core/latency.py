"""Latencies as a histogram: four buckets to each doubling, so that sums of hours still tell percentiles.

A bucket is at most a quarter of its lower bound wide, and a percentile is interpolated inside its bucket: it is
never off by more than 25 %, and rarely by more than a tenth. Up to 7 ms it is exact.
"""

from collections.abc import Mapping

_EXACT = 8


def _compute_bucket(latency_ms: int) -> int:
    shift = latency_ms.bit_length() - 3
    return _EXACT + (shift - 1) * 4 + (latency_ms >> shift) - 4


_BUCKETS: list[int] = [*range(_EXACT), *map(_compute_bucket, range(_EXACT, 4096))]


def find_bucket(latency_ms: int) -> int:
    """The bucket of a latency in milliseconds; negative ones (a clock that was set back) count as 0."""
    if 0 <= latency_ms < 4096:
        return _BUCKETS[latency_ms]
    return _compute_bucket(latency_ms) if latency_ms > 0 else 0


def bound_bucket(bucket: int) -> tuple[int, int]:
    """The bucket's lowest latency, and the lowest one of the next bucket; in milliseconds."""
    if bucket < _EXACT:
        return bucket, bucket + 1
    doubling, quarter = divmod(bucket - _EXACT, 4)
    return (4 + quarter) << (doubling + 1), (5 + quarter) << (doubling + 1)


def find_percentile(counts: Mapping[int, int], share: float) -> int | None:
    """The latency in milliseconds that this share (0 to 1) of the requests kept to; None without requests."""
    total = sum(counts.values())
    if total == 0:
        return None
    wanted = share * total
    seen = 0
    low = high = 0
    for bucket in sorted(counts):
        low, high = bound_bucket(bucket)
        if seen + counts[bucket] >= wanted:
            inside = max(0.0, wanted - seen) / counts[bucket]
            return low + round((high - 1 - low) * inside)
        seen += counts[bucket]
    return high - 1
