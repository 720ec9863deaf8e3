"""Rules of a key: which limits it has, and of what size."""

from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import (
    BucketRule,
    BudgetRule,
    BudgetState,
    Meter,
    SlotsRule,
    bucket_rule,
    budget_rule,
    slots_rule,
)

PLAIN = Key(id="key_a", name="a", organization="default", owner="local")


def test_a_key_without_limits_has_no_rules() -> None:
    assert bucket_rule(PLAIN, Meter.REQUESTS) is bucket_rule(PLAIN, Meter.TOKENS) is None
    assert slots_rule(PLAIN) is budget_rule(PLAIN) is None


def test_burst_is_the_capacity_of_the_tokens_bucket_where_requests_are_not_limited() -> None:
    key = Key(id="k", name="k", organization="o", owner="l", tokens_per_minute=1000, burst=5000)
    assert bucket_rule(key, Meter.REQUESTS) is None
    assert bucket_rule(key, Meter.TOKENS) == BucketRule(1000, 5000)


def test_burst_is_the_capacity_of_the_requests_bucket_alone() -> None:
    key = Key(
        id="k", name="k", organization="o", owner="l", requests_per_minute=60, tokens_per_minute=1000, burst=5
    )
    assert bucket_rule(key, Meter.REQUESTS) == BucketRule(60, 5)
    assert bucket_rule(key, Meter.TOKENS) == BucketRule(1000, 1000)


def test_zero_is_a_limit() -> None:
    key = Key(
        id="k",
        name="k",
        organization="o",
        owner="l",
        requests_per_minute=0,
        max_parallel_requests=0,
        budget_nanos=0,
    )
    assert bucket_rule(key, Meter.REQUESTS) == BucketRule(0, 0)
    assert slots_rule(key) == SlotsRule(0)
    assert budget_rule(key) == BudgetRule(0, BudgetPeriod.TOTAL, "UTC")


def test_nothing_remains_of_an_overdrawn_budget() -> None:
    assert BudgetState(100, 90, 20, None, "total").remaining_nanos == 0
    assert BudgetState(100, 50, 20, None, "total").remaining_nanos == 30
