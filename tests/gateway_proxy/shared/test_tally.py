"""Counts of decisions."""

from gateway_proxy.shared.tally import BOUNDS_MS, Decisions


def test_each_decision_falls_into_one_bucket() -> None:
    decisions = Decisions()
    for duration in (1, 1_000_000, 1_000_001, BOUNDS_MS[-1] * 1_000_000 + 1):
        decisions.note(duration)
    taken = decisions.histogram()
    assert decisions.count == sum(taken.counts) == 4
    assert (taken.counts[0], taken.counts[1], taken.counts[-1]) == (2, 1, 1)
    assert taken.sum == 102 and list(taken.bounds) == list(BOUNDS_MS)
