"""What every limiter keeps, whatever holds its counters."""

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import (
    BucketRule,
    BudgetRule,
    Claim,
    CounterUnknown,
    LimitExceeded,
    Meter,
    SlotsRule,
    bucket_rule,
    budget_rule,
    slots_rule,
)
from gateway_proxy.limits.memory import MemoryLimiter
from tests.support.shared_limits import BlockingLimiter

USD = 1_000_000_000
MONTH_RULE = BudgetRule(10 * USD, BudgetPeriod.MONTH, "UTC")


def make_key(**members) -> Key:
    return Key(**{"id": "key_a", "name": "A", "organization": "org_1", "owner": "local", **members})


BUDGETED = make_key(budget_nanos=10 * USD, budget_period=BudgetPeriod.MONTH)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", pytest.param("shared", marks=pytest.mark.slow)])
def limiter(request, clock):
    if request.param == "shared":
        made = BlockingLimiter(request.getfixturevalue("redis").url, clock)
        made.store.unknown.add("key_b")
        yield made
        made.close()
        return
    made = MemoryLimiter(clock)
    for job in made.begin_rebuilds([BUDGETED]):
        made.finish_rebuild(job, 0)
    yield made


def requests(amount=1, per_minute=3) -> Claim:
    return Claim("key_a", Meter.REQUESTS, BucketRule(per_minute, per_minute), amount)


def tokens(amount, per_minute=1000) -> Claim:
    return Claim("key_a", Meter.TOKENS, BucketRule(per_minute, per_minute), amount)


def slots(limit=2) -> Claim:
    return Claim("key_a", Meter.PARALLEL, SlotsRule(limit), 1)


def nanos(amount, rule=MONTH_RULE) -> Claim:
    return Claim("key_a", Meter.NANOS, rule, amount)


def refusal(limiter, *claims) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        limiter.acquire(claims)
    return caught.value


def test_no_claims_are_always_granted(limiter):
    lease = limiter.acquire(())
    limiter.settle_nanos(lease, 5)
    limiter.release(lease, 5)


def test_a_refusal_leaves_no_trace(limiter):
    for _ in range(20):
        refusal(limiter, slots(1), requests(), tokens(100), nanos(11 * USD))
    lease = limiter.acquire((slots(1), requests(3), tokens(1000), nanos(10 * USD)))
    assert lease.period == "month:2026-09-01T00:00:00Z"


def test_the_order_of_refusal_is_parallel_requests_tokens_budget(limiter):
    limiter.acquire((slots(1), requests(3), tokens(1000), nanos(10 * USD)))
    wishes = [nanos(1), tokens(1), requests(1), slots(1)]
    for meter in (Meter.PARALLEL, Meter.REQUESTS, Meter.TOKENS, Meter.NANOS):
        assert refusal(limiter, *wishes).claim.meter is meter
        wishes.pop()


def test_two_claims_on_one_counter_count_together(limiter):
    refusal(limiter, requests(2), requests(2))
    refusal(limiter, nanos(6 * USD), nanos(6 * USD))
    lease = limiter.acquire((requests(2), requests(1), nanos(5 * USD), nanos(5 * USD)))
    assert limiter.budget_state(BUDGETED).reserved_nanos == 10 * USD
    limiter.settle_nanos(lease, USD)
    assert limiter.budget_state(BUDGETED).remaining_nanos == 9 * USD


def test_a_rate_refusal_tells_the_exact_time(limiter, clock):
    limiter.acquire((requests(3),))
    error = refusal(limiter, requests())
    assert (error.available, error.retry_after_ms) == (0, 20_000)
    clock.advance(19.999)
    refusal(limiter, requests())
    clock.advance(0.001)
    limiter.acquire((requests(),))
    assert refusal(limiter, requests(4)).retry_after_ms is None


def test_tokens_are_corrected_by_real_usage(limiter):
    lease = limiter.acquire((tokens(900),))
    limiter.release(lease, 100)
    limiter.release(lease, 100)
    rule = BucketRule(1000, 1000)
    assert limiter.bucket_state("key_a", Meter.TOKENS, rule).remaining == 900
    lease = limiter.acquire((tokens(10),))
    limiter.release(lease, 5000)
    assert limiter.bucket_state("key_a", Meter.TOKENS, rule).remaining == 0
    assert refusal(limiter, tokens(1)).available == -4100


def test_without_known_usage_the_reserved_tokens_stay_taken(limiter):
    limiter.release(limiter.acquire((tokens(900),)), None)
    assert refusal(limiter, tokens(900)).available == 100


def test_slots_come_back_once(limiter):
    first = limiter.acquire((slots(),))
    limiter.acquire((slots(),))
    assert refusal(limiter, slots()).available == 0
    limiter.release(first, None)
    limiter.release(first, None)
    limiter.acquire((slots(),))
    refusal(limiter, slots())


@pytest.mark.parametrize(
    "claim",
    [
        requests(1, per_minute=0),
        tokens(1, per_minute=0),
        slots(0),
        nanos(1, BudgetRule(0, BudgetPeriod.MONTH, "UTC")),
    ],
)
def test_zero_lets_nothing_pass(limiter, clock, claim):
    clock.advance(3600)
    assert refusal(limiter, claim).retry_after_ms is None


def test_what_costs_nothing_passes_at_nothing_left(limiter):
    lease = limiter.acquire((nanos(10 * USD),))
    limiter.settle_nanos(lease, 10 * USD)
    limiter.acquire((nanos(0),))
    refusal(limiter, nanos(1))


def test_spent_and_reserved_never_exceed_the_cap(limiter):
    leases = [limiter.acquire((nanos(3 * USD),)) for _ in range(3)]
    error = refusal(limiter, nanos(3 * USD))
    assert error.budget.reserved_nanos == 9 * USD
    assert error.available == USD
    for lease in leases:
        limiter.settle_nanos(lease, USD)
        limiter.settle_nanos(lease, USD)
    state = limiter.budget_state(BUDGETED)
    assert (state.spent_nanos, state.reserved_nanos, state.remaining_nanos) == (3 * USD, 0, 7 * USD)


def test_a_refused_budget_says_when_it_resets(limiter, clock):
    limiter.acquire((nanos(10 * USD),))
    error = refusal(limiter, nanos(1))
    assert error.budget.resets_at == clock.now_ms() + error.retry_after_ms
    assert refusal(limiter, nanos(11 * USD)).retry_after_ms is None


def test_a_lowered_limit_holds_at_once_and_a_raised_one_too(limiter):
    limiter.settle_nanos(limiter.acquire((nanos(5 * USD),)), 5 * USD)
    error = refusal(limiter, nanos(1, BudgetRule(4 * USD, BudgetPeriod.MONTH, "UTC")))
    assert error.available == -USD
    assert error.budget.remaining_nanos == 0
    limiter.acquire((nanos(95 * USD, BudgetRule(100 * USD, BudgetPeriod.MONTH, "UTC")),))


def test_a_charge_belongs_to_the_period_of_its_admission(limiter, clock):
    lease = limiter.acquire((nanos(10 * USD),))
    clock.advance(41 * 86_400)
    assert limiter.budget_state(BUDGETED).remaining_nanos == 10 * USD
    limiter.settle_nanos(lease, 9 * USD)
    assert limiter.budget_state(BUDGETED).remaining_nanos == 10 * USD
    assert limiter.acquire((nanos(1),)).period == "month:2026-11-01T00:00:00Z"


def test_a_budget_that_is_not_loaded_is_refused_and_leaves_no_trace(limiter):
    stranger = Claim("key_b", Meter.NANOS, MONTH_RULE, 1)
    for _ in range(5):
        with pytest.raises(CounterUnknown) as caught:
            limiter.acquire((slots(1), requests(), nanos(USD), stranger))
        assert caught.value.key_id == "key_b"
    with pytest.raises(CounterUnknown):
        limiter.budget_state(make_key(id="key_b", budget_nanos=1))
    limiter.acquire((slots(1), requests(3), nanos(10 * USD)))


def test_a_rate_limit_ranks_before_an_unknown_budget(limiter):
    limiter.acquire((requests(3),))
    refusal(limiter, Claim("key_b", Meter.NANOS, MONTH_RULE, 1), requests())


def test_states_of_absent_limits_are_none(limiter):
    key = make_key()
    assert limiter.budget_state(key) is None
    assert (bucket_rule(key, Meter.REQUESTS), bucket_rule(key, Meter.TOKENS)) == (None, None)
    assert (slots_rule(key), budget_rule(key)) == (None, None)


def test_an_untouched_bucket_is_full(limiter):
    key = make_key(requests_per_minute=600, burst=50, tokens_per_minute=1000)
    state = limiter.bucket_state(key.id, Meter.REQUESTS, bucket_rule(key, Meter.REQUESTS))
    assert (state.limit, state.remaining, state.reset_ms) == (600, 50, 0)
    assert limiter.bucket_state(key.id, Meter.TOKENS, bucket_rule(key, Meter.TOKENS)).remaining == 1000


def test_a_bucket_tells_what_is_left_and_when_it_is_full(limiter):
    limiter.acquire((requests(2),))
    state = limiter.bucket_state("key_a", Meter.REQUESTS, BucketRule(3, 3))
    assert (state.limit, state.remaining, state.reset_ms) == (3, 1, 40_000)


def test_a_probe_tells_what_an_acquisition_would_and_takes_nothing(limiter):
    assert limiter.probe(requests(3)) is None and limiter.probe(slots(1)) is None
    limiter.acquire((requests(2),))
    refused = limiter.probe(requests(2))
    assert (refused.available, refused.retry_after_ms) == (1, refusal(limiter, requests(2)).retry_after_ms)
    assert limiter.probe(requests(1)) is None and limiter.probe(requests(1)) is None
    assert isinstance(limiter.probe(Claim("key_b", Meter.NANOS, MONTH_RULE, 1)), CounterUnknown)
