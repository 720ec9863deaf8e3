"""A breaker opens after five faults in a row, rests, probes once, and rests longer."""

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.routing import breaker
from gateway_proxy.routing.breaker import Breakers

TARGET = ("openai", "gpt-4o")


def _open(breakers: Breakers) -> None:
    for _ in range(5):
        assert breakers.begin(TARGET)
        breakers.fail(TARGET)


def test_opens_at_the_fifth_fault_in_a_row() -> None:
    breakers = Breakers(FakeClock())
    for _ in range(4):
        breakers.fail(TARGET)
    assert not breakers.is_open(TARGET)
    breakers.succeed(TARGET)
    for _ in range(4):
        breakers.fail(TARGET)
    assert breakers.begin(TARGET)
    breakers.fail(TARGET)
    assert breakers.is_open(TARGET)
    assert not breakers.begin(TARGET)
    assert not breakers.is_open(("openai", "gpt-4o-mini"))


def test_half_open_lets_one_probe_pass() -> None:
    clock = FakeClock()
    breakers = Breakers(clock)
    _open(breakers)
    clock.advance(4.999)
    assert breakers.is_open(TARGET)
    clock.advance(0.001)
    assert not breakers.is_open(TARGET)
    assert not breakers.is_open(TARGET)
    assert breakers.begin(TARGET)
    assert breakers.is_open(TARGET)
    assert not breakers.begin(TARGET)
    breakers.succeed(TARGET)
    assert breakers.begin(TARGET)
    assert breakers.begin(TARGET)


def test_rest_doubles_up_to_a_minute_and_starts_anew_after_success() -> None:
    clock = FakeClock()
    breakers = Breakers(clock)
    _open(breakers)
    for rest in (5, 10, 20, 40, 60, 60):
        clock.advance(rest - 0.001)
        assert breakers.is_open(TARGET)
        clock.advance(0.001)
        assert breakers.begin(TARGET)
        breakers.fail(TARGET)
    clock.advance(60)
    assert breakers.begin(TARGET)
    breakers.succeed(TARGET)
    _open(breakers)
    clock.advance(5)
    assert not breakers.is_open(TARGET)


def test_late_faults_do_not_prolong_the_rest() -> None:
    clock = FakeClock()
    breakers = Breakers(clock)
    _open(breakers)
    for _ in range(20):
        clock.advance(0.1)
        breakers.fail(TARGET)
    clock.advance(3)
    assert not breakers.is_open(TARGET)


def test_probe_without_a_verdict_makes_room_for_the_next() -> None:
    clock = FakeClock()
    breakers = Breakers(clock)
    _open(breakers)
    clock.advance(5)
    assert breakers.begin(TARGET)
    clock.advance(4.999)
    assert not breakers.begin(TARGET)
    clock.advance(0.001)
    assert breakers.begin(TARGET)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "MAX_TRACKED", 10)
    breakers = Breakers(FakeClock())
    for number in range(50):
        breakers.succeed(("p", f"good-{number}"))
        breakers.fail(("p", f"bad-{number}"))
    assert len(breakers._troubles) == 10


def test_tripped_circuits_are_listed_until_they_are_answered() -> None:
    clock = FakeClock()
    breakers = Breakers(clock)
    breakers.fail(("other", "model"))
    assert breakers.list_tripped() == []
    _open(breakers)
    clock.advance(100)
    assert breakers.list_tripped() == [TARGET]
    breakers.succeed(TARGET)
    assert breakers.list_tripped() == []


def test_a_providers_health_is_that_of_its_worst_target() -> None:
    clock = FakeClock()
    breakers = Breakers(clock)
    assert breakers.health("openai") == "up"
    breakers.fail(("openai", "other"))  # one fault opens nothing
    assert breakers.health("openai") == "up"
    _open(breakers)
    assert (breakers.health("openai"), breakers.health("groq")) == ("down", "up")
    clock.advance(5)
    assert breakers.health("openai") == "half_open"
    breakers.succeed(TARGET)
    assert breakers.health("openai") == "up"


def test_a_provider_rests_as_a_whole_until_it_wakes() -> None:
    breakers = Breakers(FakeClock())
    _open(breakers)
    breakers.fail(("other", "m"))
    breakers.wake("openai")
    assert breakers.is_open(TARGET)  # it did not rest: its breaker decides
    breakers.rest("openai")
    assert breakers.is_open(("openai", "any")) and breakers.health("openai") == "down"
    assert ("openai", "") in breakers.list_tripped()
    assert not breakers.is_open(("other", "m"))
    breakers.wake("openai")
    assert not breakers.is_open(TARGET) and breakers.health("openai") == "up"
    assert breakers.list_tripped() == []
