"""Admission: all claims or none, and refusals that say what is missing."""

from typing import Any

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import BudgetExceeded, RateLimited, Unavailable
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import Claim, Meter
from gateway_proxy.core.policy import KeyPolicy, compile_policy
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.stages.admission import Admission
from gateway_proxy.stages.allow import Allow
from gateway_proxy.stages.budget import Budget
from gateway_proxy.stages.network import Network
from gateway_proxy.stages.rate import LearnedOutput, Rate
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route


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


def test_full_slots_are_worth_a_retry_and_none_at_all_are_not() -> None:
    one, none = make_policy(max_parallel_requests=1), make_policy(max_parallel_requests=0)
    full = Admission(ready(one))
    full.check(make_exchange(one, claims=list(one.request_claims)))
    for admission, policy, expected in (
        (full, one, (1000, None)),
        (Admission(ready(none)), none, (None, False)),
    ):
        with pytest.raises(RateLimited) as refused:
            admission.check(make_exchange(policy, claims=list(policy.request_claims)))
        assert (refused.value.retry_after_ms, refused.value.should_retry) == expected


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


class Shadowed:
    """Admission of a shadowed key, over the stages that judge its rules."""

    def __init__(self, spent: int = 0, **members: Any) -> None:
        key = Key(id="key_a", name="a", organization="default", owner="local", shadow=True, **members)
        self.policy = compile_policy(key)
        assert self.policy.shadow is not None
        self.limiter = ready(self.policy.shadow, spent)
        stages = (Network(), Allow(), Rate(LearnedOutput()), Budget(self.limiter, lambda: True))
        self.admission = Admission(self.limiter, shadowed=stages)

    def send(self) -> Exchange:
        exchange = make_exchange(self.policy, make_model(), make_route())
        self.admission.check(exchange)
        assert exchange.lease is not None
        return exchange


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, ""),
        ({"ip_allowlist": ("10.0.0.0/8",)}, "ip_not_allowed"),
        ({"allowed_endpoints": ()}, "endpoint_not_allowed"),
        ({"allowed_models": ("other",)}, "model_not_found"),
        ({"allowed_providers": ("other",)}, "provider_not_allowed"),
        ({"budget_nanos": 10}, "insufficient_quota"),
        ({"tokens_per_minute": 10}, "rate_limit_exceeded"),
    ],
)
def test_what_is_shadowed_is_noted_and_passes(members: dict[str, Any], code: str) -> None:
    exchange = Shadowed(**members).send()
    assert exchange.would_deny == code
    assert exchange.targets == make_model().targets and exchange.output_cap is None


def test_a_shadowed_limit_runs_out_when_it_would() -> None:
    shadowed = Shadowed(requests_per_minute=2, max_parallel_requests=9)
    exchanges = [shadowed.send() for _ in range(4)]
    assert [exchange.would_deny for exchange in exchanges] == ["", "", *["rate_limit_exceeded"] * 2]
    assert shadowed.limiter.slots_used("key_a") == 2
    for exchange in exchanges:
        assert exchange.lease is not None
        shadowed.limiter.release(exchange.lease, 0)
    assert shadowed.limiter.slots_used("key_a") == 0


def test_a_shadowed_budget_is_counted_and_announced_and_never_reserved() -> None:
    shadowed = Shadowed(budget_nanos=10**6, alert_thresholds=(50,))
    first = shadowed.send()
    assert first.would_deny == "" and first.lease is not None and first.bound is None
    assert shadowed.policy.shadow is not None
    key = shadowed.policy.shadow.key
    shadowed.limiter.settle_nanos(first.lease, 3 * 10**6)
    state = shadowed.limiter.budget_state(key)
    assert state is not None and (state.spent_nanos, state.reserved_nanos) == (3 * 10**6, 0)
    assert [event.kind for event in shadowed.limiter.take_events()] == ["budget.threshold", "budget.exceeded"]
    assert shadowed.send().would_deny == "insufficient_quota" and shadowed.limiter.overshoots == 0


def test_the_first_shadowed_refusal_for_budget_is_announced() -> None:
    shadowed = Shadowed(budget_nanos=10**6, spent=9 * 10**5)
    assert shadowed.send().would_deny == "insufficient_quota"
    assert [event.kind for event in shadowed.limiter.take_events()] == ["budget.exceeded"]


def test_a_shadowed_budget_that_is_not_known_is_no_obstacle() -> None:
    shadowed = Shadowed(budget_nanos=10**9)
    shadowed.limiter.forget("key_a")
    assert shadowed.send().would_deny == "budget_unverifiable"
