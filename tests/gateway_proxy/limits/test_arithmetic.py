"""Token buckets: never too much, hardly ever too little, and an exact time to come back."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.limiter import BucketRule
from gateway_proxy.limits.arithmetic import MILLISECOND_NS, MINUTE_NS, Bucket

SECOND_NS = 1_000_000_000


@pytest.mark.slow
@given(
    per_minute=st.integers(1, 5000),
    capacity=st.integers(1, 5000),
    steps=st.lists(st.tuples(st.integers(0, 20 * SECOND_NS), st.integers(1, 400)), max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_no_window_of_sixty_seconds_admits_more_than_limit_plus_capacity(per_minute, capacity, steps):
    bucket = Bucket(BucketRule(per_minute, capacity), 7)
    now = 7
    window: deque[tuple[int, int]] = deque()
    for pause, amount in steps:
        now += pause
        if bucket.take(amount, now):
            window.append((now, amount))
        while window and window[0][0] < now - MINUTE_NS:
            window.popleft()
        assert sum(taken for _, taken in window) <= per_minute + capacity


@pytest.mark.parametrize(
    ("per_minute", "capacity"), [(1, 1), (7, 1), (60, 60), (601, 10), (100_003, 100_003)]
)
def test_a_steady_caller_at_98_percent_of_the_limit_is_never_refused(per_minute, capacity):
    bucket = Bucket(BucketRule(per_minute, capacity), 0)
    assert bucket.take(capacity, 0)
    steps = 5000
    admitted = sum(bucket.take(1, (i + 1) * MINUTE_NS * 100 // (per_minute * 98)) for i in range(steps))
    assert admitted == steps


@given(
    per_minute=st.integers(1, 100_000),
    capacity=st.integers(1, 100_000),
    amount=st.integers(1, 100_000),
    debt=st.integers(0, 200_000),
    start=st.integers(0, 10**15),
)
def test_one_retry_after_the_time_told_succeeds_and_none_earlier(per_minute, capacity, amount, debt, start):
    bucket = Bucket(BucketRule(per_minute, capacity), start)
    bucket.give(-debt, start)
    wait_ms = bucket.retry_after_ms(amount, start)
    if amount > capacity:
        assert wait_ms is None
        return
    assert wait_ms is not None
    if wait_ms:
        assert not bucket.take(amount, start + (wait_ms - 1) * MILLISECOND_NS)
    assert bucket.take(amount, start + wait_ms * MILLISECOND_NS)


def test_a_correction_takes_the_bucket_below_zero_and_it_climbs_back():
    bucket = Bucket(BucketRule(60, 100), 0)
    bucket.give(-130, 0)
    assert bucket.available(0) == -30
    assert bucket.available(30 * SECOND_NS) == 0
    assert not bucket.take(1, 30 * SECOND_NS)
    assert bucket.take(1, 31 * SECOND_NS)


def test_a_correction_never_fills_above_the_capacity():
    bucket = Bucket(BucketRule(60, 10), 0)
    assert bucket.take(10, 0)
    bucket.give(10, 5 * SECOND_NS)
    assert bucket.available(5 * SECOND_NS) == 10


def test_a_changed_rule_keeps_the_level_clipped_to_the_new_capacity():
    bucket = Bucket(BucketRule(60, 100), 0)
    assert bucket.take(40, 0)
    bucket.change(BucketRule(600, 1000), 0)
    assert bucket.available(0) == 60
    bucket.change(BucketRule(6, 10), 0)
    assert bucket.available(0) == 10


@pytest.mark.parametrize("rule", [BucketRule(0, 0), BucketRule(0, 50), BucketRule(50, 0)])
def test_zero_lets_nothing_pass_for_ever(rule):
    bucket = Bucket(rule, 0)
    assert not bucket.take(1, 10**15)
    assert bucket.retry_after_ms(1, 10**15) is None


def test_time_until_full_is_rounded_up():
    bucket = Bucket(BucketRule(7, 7), 0)
    assert bucket.is_full(0)
    assert bucket.reset_ms(0) == 0
    assert bucket.take(1, 0)
    assert bucket.reset_ms(0) == 8572
    assert not bucket.is_full(8571 * MILLISECOND_NS)
    assert bucket.is_full(8572 * MILLISECOND_NS)
    assert Bucket(BucketRule(0, 5), 0).reset_ms(0) == 0


def test_a_clock_that_stands_still_refills_nothing():
    bucket = Bucket(BucketRule(60, 1), 100)
    assert bucket.take(1, 100)
    assert not bucket.take(1, 100)
    assert not bucket.take(1, 50)
