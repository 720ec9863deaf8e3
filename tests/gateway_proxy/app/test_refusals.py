"""A flood of refusals is logged up to a rate."""

from gateway_proxy.app.refusals import MAX_REFUSALS_PER_SECOND, RefusalBound
from gateway_proxy.core.clock import FakeClock


def test_each_second_has_its_own_bound() -> None:
    clock = FakeClock()
    bound = RefusalBound(clock)
    assert sum(bound.admits() for _ in range(MAX_REFUSALS_PER_SECOND * 2)) == MAX_REFUSALS_PER_SECOND
    clock.advance(1)
    assert bound.admits()
