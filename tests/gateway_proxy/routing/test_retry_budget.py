"""Retries are at most a tenth of the requests, and a few more."""

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.routing.retry_budget import RetryBudgets


def _take_all(budgets: RetryBudgets, provider: str = "p") -> int:
    taken = 0
    while budgets.take(provider):
        taken += 1
    return taken


def test_a_quiet_provider_has_a_floor_that_comes_back_slowly() -> None:
    clock = FakeClock()
    budgets = RetryBudgets(clock)
    assert _take_all(budgets) == 10
    clock.advance(0.999)
    assert not budgets.take("p")
    clock.advance(0.001)
    assert _take_all(budgets) == 1
    clock.advance(1000)
    assert _take_all(budgets) == 10


def test_requests_earn_a_tenth_up_to_a_hundred_retries() -> None:
    budgets = RetryBudgets(FakeClock())
    _take_all(budgets)
    for _ in range(500):
        budgets.earn("p")
    assert _take_all(budgets) == 50
    for _ in range(5000):
        budgets.earn("p")
    assert _take_all(budgets) == 100


def test_under_load_retries_stay_at_a_tenth_and_the_floor() -> None:
    clock = FakeClock()
    budgets = RetryBudgets(clock)
    retries = 0
    for _ in range(10_000):
        clock.advance(0.01)
        budgets.earn("p")
        retries += budgets.take("p")
    assert 1000 <= retries <= 1000 + 100 + 10


def test_saved_retries_are_not_lost_to_the_floor() -> None:
    clock = FakeClock()
    budgets = RetryBudgets(clock)
    for _ in range(300):
        budgets.earn("p")
    clock.advance(100)
    assert _take_all(budgets) == 40


def test_providers_do_not_share() -> None:
    budgets = RetryBudgets(FakeClock())
    _take_all(budgets, "a")
    assert budgets.take("b")
    assert not budgets.take("a")
