import random

import pytest

from gateway_proxy.core.latency import bound_bucket, find_bucket, find_percentile


def test_buckets_follow_each_other_without_gaps_and_hold_what_they_say() -> None:
    for bucket in range(100):
        low, high = bound_bucket(bucket)
        assert bound_bucket(bucket + 1)[0] == high
        assert find_bucket(low) == find_bucket(high - 1) == bucket
        assert high - low <= max(1, low / 4)


def test_a_clock_set_back_makes_no_negative_bucket() -> None:
    assert find_bucket(-5) == 0


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_near_the_true_one(share: float) -> None:
    source = random.Random(7)
    latencies = sorted(int(source.lognormvariate(7, 1)) for _ in range(5000))
    counts: dict[int, int] = {}
    for latency in latencies:
        counts[find_bucket(latency)] = counts.get(find_bucket(latency), 0) + 1
    true = latencies[int(share * len(latencies))]
    found = find_percentile(counts, share)
    assert found is not None
    assert abs(found - true) <= 0.1 * true


def test_the_percentile_of_one_request_lies_in_its_bucket_and_of_none_nowhere() -> None:
    low, high = bound_bucket(find_bucket(9000))
    for share in (0.0, 0.5, 1.0):
        found = find_percentile({find_bucket(9000): 1}, share)
        assert found is not None
        assert low <= found < high
    assert find_percentile({}, 0.5) is None
    assert find_percentile({0: 3}, 0.95) == 0
