"""Counts of decisions."""

from gateway_proxy.shared.tally import BOUNDS_NS, Decisions


def test_each_decision_falls_into_one_bucket() -> None:
    decisions = Decisions()
    for duration in (1, BOUNDS_NS[0], BOUNDS_NS[0] + 1, BOUNDS_NS[-1] + 1):
        decisions.note(duration)
    assert decisions.count == sum(decisions.buckets) == 4
    assert (decisions.buckets[0], decisions.buckets[1], decisions.buckets[-1]) == (2, 1, 1)
    assert decisions.total_ns == 2 + 2 * BOUNDS_NS[0] + BOUNDS_NS[-1] + 1
