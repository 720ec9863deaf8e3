"""Parts of limits that add up to the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.limiter import BucketRule, Claim, LimitExceeded, Meter, SlotsRule
from gateway_proxy.limits.arithmetic import MINUTE_NS, Bucket
from gateway_proxy.shared.local_share import Debt, LocalShare


def requests(limit: int, amount: int = 1) -> Claim:
    return Claim("key", Meter.REQUESTS, BucketRule(limit, limit), amount)


def granted(share: LocalShare, claim: Claim) -> int:
    count = 0
    while count <= 100:
        try:
            share.acquire((claim,))
        except LimitExceeded:
            break
        count += 1
    return count


@given(limit=some.integers(0, 40), gateways=some.integers(1, 7))
def test_together_they_grant_the_limit(limit: int, gateways: int) -> None:
    parts = [f"gtw_{n}" for n in range(gateways)]
    for claim in (requests(limit), Claim("key", Meter.PARALLEL, SlotsRule(limit), 1)):
        total = 0
        for part in parts:
            share = LocalShare(FakeClock())
            share.divide(parts, part)
            total += granted(share, claim)
        assert total == limit


def test_a_gateway_that_is_not_listed_counts_itself() -> None:
    share = LocalShare(FakeClock())
    share.divide(["gtw_a"], "gtw_b")
    assert share.gateways == 2 and granted(share, requests(4)) == 2


def test_what_only_the_whole_limit_could_grant_may_be_tried_again() -> None:
    share = LocalShare(FakeClock())
    share.divide(["gtw_a", "gtw_b"], "gtw_a")
    with pytest.raises(LimitExceeded) as within:
        share.acquire((requests(10, 8),))
    assert within.value.retry_after_ms and within.value.claim == requests(10, 8)
    with pytest.raises(LimitExceeded) as beyond:
        share.acquire((requests(10, 11),))
    assert beyond.value.retry_after_ms is None


def test_a_part_begins_with_what_was_left_and_is_paid_back() -> None:
    clock = FakeClock()
    share = LocalShare(clock)
    share.divide(["gtw_a", "gtw_b"], "gtw_a")
    shared = Bucket(requests(60).rule, 0)  # type: ignore[arg-type]
    shared.set(requests(60).rule, 20 * MINUTE_NS, clock.monotonic_ns())  # type: ignore[arg-type]
    count = 0
    while True:
        try:
            share.acquire((requests(60),), "root", lambda meter, key_id: shared)
        except LimitExceeded:
            break
        count += 1
    assert count == 10 and share.is_in_use
    clock.advance(4)  # two of this part's come back, which both have
    assert share.end() == [Debt("root", requests(60), 10)]
    assert not share.is_in_use and share.end() == []
