"""The clocks: real ones move, the fake one only when told."""

from gateway_proxy.core.clock import Clock, FakeClock


def test_the_machines_clock_runs() -> None:
    clock = Clock()
    before = clock.monotonic_ns()
    assert clock.now_ms() > 1_700_000_000_000
    assert clock.monotonic_ns() >= before


def test_a_fake_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(5_000)
    before = clock.monotonic_ns()
    clock.advance(1.5)
    assert (clock.now_ms(), clock.monotonic_ns() - before) == (6_500, 1_500_000_000)
    clock.set_wall(1)
    assert (clock.now_ms(), clock.monotonic_ns() - before) == (1, 1_500_000_000)
