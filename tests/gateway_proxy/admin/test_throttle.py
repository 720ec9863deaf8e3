import pytest

from gateway_proxy.admin.problem import TooMany
from gateway_proxy.admin.throttle import PER_ACCOUNT, PER_ACCOUNT_AND_ADDRESS, PER_ADDRESS, Throttle
from gateway_proxy.core.clock import FakeClock


@pytest.fixture
def throttle(clock: FakeClock) -> Throttle:
    return Throttle(clock)


def attempts_left(throttle: Throttle, account: str, ip: str) -> int:
    count = 0
    while count < 1000:
        try:
            throttle.take(account, ip)
        except TooMany:
            return count
        count += 1
    return count


def test_an_account_has_so_many_attempts_from_one_address(throttle: Throttle, clock: FakeClock) -> None:
    for _ in range(PER_ACCOUNT_AND_ADDRESS.attempts):
        throttle.take("ada", "192.0.2.1")
    with pytest.raises(TooMany) as refused:
        throttle.take("ada", "192.0.2.1")
    assert refused.value.retry_after_seconds == PER_ACCOUNT_AND_ADDRESS.interval_seconds
    throttle.take("ada", "192.0.2.2")
    throttle.take("eve", "192.0.2.1")
    clock.advance(PER_ACCOUNT_AND_ADDRESS.interval_seconds)
    assert attempts_left(throttle, "ada", "192.0.2.1") == 1
    clock.advance(PER_ACCOUNT.interval_seconds * PER_ACCOUNT.attempts)
    assert attempts_left(throttle, "ada", "") == PER_ACCOUNT_AND_ADDRESS.attempts


def test_an_account_has_more_attempts_from_anywhere_but_not_endless_ones(throttle: Throttle) -> None:
    for n in range(PER_ACCOUNT.attempts):
        throttle.take("ada", f"192.0.2.{n}")
    with pytest.raises(TooMany):
        throttle.take("ada", "198.51.100.1")


def test_one_address_cannot_lock_others_out(throttle: Throttle, clock: FakeClock) -> None:
    for _ in range(1000):
        attempts_left(throttle, "ada", "192.0.2.66")
        throttle.take("ada", "198.51.100.1")
        throttle.give_back("ada", "198.51.100.1")
        clock.advance(10)


def test_an_address_has_so_many_attempts_at_anything(throttle: Throttle) -> None:
    for n in range(PER_ADDRESS.attempts):
        throttle.take(f"user{n}", "192.0.2.1")
    with pytest.raises(TooMany):
        throttle.take("another", "192.0.2.1")
    throttle.take("another", "192.0.2.2")


def test_an_ipv6_network_counts_as_one_address(throttle: Throttle) -> None:
    for n in range(PER_ADDRESS.attempts):
        throttle.take(f"user{n}", f"2001:db8::{n:x}")
    with pytest.raises(TooMany):
        throttle.take("another", "2001:db8::ffff:1")
    throttle.take("another", "2001:db8:0:1::1")
    throttle.take("another", "::ffff:192.0.2.1")
    throttle.take("another", "no address")


def test_success_clears_the_account_and_gives_the_address_its_attempt_back(throttle: Throttle) -> None:
    for _ in range(PER_ACCOUNT_AND_ADDRESS.attempts):
        throttle.take("ada", "192.0.2.1")
    throttle.give_back("ada", "192.0.2.1")
    assert attempts_left(throttle, "ada", "192.0.2.1") == PER_ACCOUNT_AND_ADDRESS.attempts
    left = PER_ADDRESS.attempts - 2 * PER_ACCOUNT_AND_ADDRESS.attempts + 1
    assert attempts_left(throttle, "", "192.0.2.1") == left


def test_a_refused_attempt_costs_nothing(throttle: Throttle) -> None:
    taken = attempts_left(throttle, "ada", "192.0.2.1")
    for _ in range(PER_ADDRESS.attempts * 2):
        with pytest.raises(TooMany):
            throttle.take("ada", "192.0.2.1")
    assert attempts_left(throttle, "", "192.0.2.1") == PER_ADDRESS.attempts - taken


def test_what_is_remembered_is_bounded(clock: FakeClock) -> None:
    throttle = Throttle(clock, most_names=100)
    for n in range(1000):
        throttle.take(str(n) + "x" * 5000, f"10.0.{n // 250}.{n % 250}")
    assert len(throttle._full_at) <= 100
    assert all(len(name) < 320 for name in throttle._full_at)
