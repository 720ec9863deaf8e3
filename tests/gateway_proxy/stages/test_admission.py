"""Admission: all claims or none, and refusals that say what is missing."""

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import BudgetExceeded, RateLimited, Unavailable
from gateway_proxy.core.limiter import Claim, Meter
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.stages.admission import Admission
from tests.support.exchanges import make_exchange, make_policy


def ready(policy: KeyPolicy, spent: int = 0) -> MemoryLimiter:
    limiter = MemoryLimiter(FakeClock())
    for job in limiter.begin_rebuilds([policy.key]):
        limiter.finish_rebuild(job, spent)
    limiter.update(policy.key)
    return limiter


def test_a_lease_for_all_claims() -> None:
    policy = make_policy(requests_per_minute=2)
    exchange = make_exchange(policy, claims=list(policy.request_claims))
    Admission(ready(policy)).check(exchange)
    assert exchange.lease is not None and len(exchange.lease.claims) == 1


def test_rate_refusals_say_when_to_come_back() -> None:
    policy = make_policy(requests_per_minute=1)
    admission = Admission(ready(policy))
    admission.check(make_exchange(policy, claims=list(policy.request_claims)))
    with pytest.raises(RateLimited) as refused:
        admission.check(make_exchange(policy, claims=list(policy.request_claims)))
    error = refused.value
    assert (error.status, error.type, error.retry_after_ms, error.should_retry) == (
        429,
        "requests",
        60_000,
        None,
    )


def test_what_can_never_pass_is_not_to_be_retried() -> None:
    policy = make_policy(tokens_per_minute=10)
    assert policy.tokens_rule is not None
    with pytest.raises(RateLimited) as refused:
        Admission(ready(policy)).check(
            make_exchange(policy, claims=[Claim("key_a", Meter.TOKENS, policy.tokens_rule, 11)])
        )
    assert (refused.value.type, refused.value.should_retry, refused.value.retry_after_ms) == (
        "tokens",
        False,
        None,
    )


@pytest.mark.parametrize("status", [429, 402])
def test_budget_refusals_carry_the_numbers(status: int) -> None:
    policy = make_policy(budget_nanos=10**9)
    limiter = ready(policy, spent=4 * 10**8)
    assert policy.budget_rule is not None
    claim = Claim("key_a", Meter.NANOS, policy.budget_rule, 7 * 10**8)
    with pytest.raises(BudgetExceeded) as refused:
        Admission(limiter, budget_status=status).check(make_exchange(policy, claims=[claim]))
    error = refused.value
    assert (error.status, error.code, error.should_retry) == (status, "insufficient_quota", False)
    assert error.gateway == {
        "budget": {"limit": "1.00", "spent": "0.40", "reserved": "0.00", "needed": "0.70", "resets_at": None}
    }


def test_an_unknown_counter_is_no_permission() -> None:
    policy = make_policy(budget_nanos=10**9)
    assert policy.budget_rule is not None
    with pytest.raises(Unavailable) as refused:
        Admission(MemoryLimiter(FakeClock())).check(
            make_exchange(policy, claims=[Claim("key_a", Meter.NANOS, policy.budget_rule, 1)])
        )
    assert (refused.value.status, refused.value.code) == (503, "budget_unverifiable")
