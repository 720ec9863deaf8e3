"""Means that move, are kept apart by kind, and are forgotten."""

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.routing import latencies
from gateway_proxy.routing.latencies import Latencies

TARGET = Target("a", "m")


def test_the_mean_follows_what_is_measured() -> None:
    known = Latencies(FakeClock())
    assert known.mean_seconds(TARGET, True) is None
    known.note(TARGET, True, 1.0)
    assert known.mean_seconds(TARGET, True) == 1.0
    for _ in range(50):
        known.note(TARGET, True, 0.1)
    mean = known.mean_seconds(TARGET, True)
    assert mean is not None and abs(mean - 0.1) < 0.01
    assert known.mean_seconds(TARGET, False) is None
    assert known.mean_seconds(Target("a", "other"), True) is None


def test_what_is_old_is_not_known() -> None:
    clock = FakeClock()
    known = Latencies(clock)
    known.note(TARGET, True, 9.0)
    clock.advance(601)
    assert known.mean_seconds(TARGET, True) is None
    known.note(TARGET, True, 0.1)
    assert known.mean_seconds(TARGET, True) == 0.1


def test_memory_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(latencies, "MAX_TRACKED", 2)
    known = Latencies(FakeClock())
    for name in "abc":
        known.note(Target(name, "m"), False, 1.0)
    assert [known.mean_seconds(Target(name, "m"), False) for name in "abc"] == [None, 1.0, 1.0]
