"""The memory limiter beyond the common contract: loading, events, forgetting, and its bounds."""

import logging

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import (
    BucketRule,
    Claim,
    CounterUnknown,
    LimitExceeded,
    Meter,
    SlotsRule,
    budget_rule,
)
from gateway_proxy.limits.memory import MemoryLimiter

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z


def make_key(**members) -> Key:
    return Key(
        **{
            "id": "key_a",
            "name": "A",
            "organization": "org_1",
            "owner": "local",
            "budget_nanos": 1000,
            "budget_period": BudgetPeriod.MONTH,
            **members,
        }
    )


def claim(key: Key, amount: int) -> Claim:
    return Claim(key.id, Meter.NANOS, budget_rule(key), amount)


def load(limiter: MemoryLimiter, *keys: Key, spent: int = 0) -> None:
    for job in limiter.begin_rebuilds(keys):
        assert limiter.finish_rebuild(job, spent)


def spend(limiter: MemoryLimiter, key: Key, amount: int) -> None:
    limiter.settle_nanos(limiter.acquire((claim(key, amount),)), amount)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def limiter(clock) -> MemoryLimiter:
    return MemoryLimiter(clock)


def test_loading_takes_what_the_store_knows(limiter):
    key = make_key()
    assert limiter.needs_rebuild(key)
    [job] = limiter.begin_rebuilds([key, make_key(id="key_free", budget_nanos=None)])
    assert job.window == ("key_a", 1_788_220_800_000, 1_790_812_800_000)
    with pytest.raises(CounterUnknown):
        limiter.acquire((claim(key, 1),))
    assert limiter.finish_rebuild(job, 900)
    assert limiter.budget_state(key).remaining_nanos == 100
    assert not limiter.needs_rebuild(key)


def test_a_time_zone_unknown_here_costs_only_its_own_key(limiter, caplog):
    good, bad = make_key(), make_key(id="key_b", budget_timezone="Mars/Olympus")
    load(limiter, bad, good)
    limiter.acquire((claim(good, 1),))
    with pytest.raises(CounterUnknown):
        limiter.acquire((claim(bad, 1),))
    assert "Mars/Olympus" in caplog.text


def test_thresholds_fire_once_when_settled_spend_reaches_them(limiter):
    key = make_key(alert_thresholds=(50, 80, 100))
    load(limiter, key)
    limiter.acquire((claim(key, 400),))  # reserved is not spent
    spend(limiter, key, 499)
    assert limiter.take_events() == []
    spend(limiter, key, 1)
    spend(limiter, key, 0)
    [event] = limiter.take_events()
    assert (event.key_id, event.kind, event.percent, event.limit_nanos) == (
        "key_a",
        "budget.threshold",
        50,
        1000,
    )
    assert event.dedupe == "budget.threshold:key_a:month:2026-09-01T00:00:00Z:1000:50"
    assert limiter.take_events() == []


def test_the_whole_budget_spent_fires_the_rest_and_exceeded(limiter):
    key = make_key(alert_thresholds=(50, 100))
    load(limiter, key)
    spend(limiter, key, 1000)
    assert [(e.kind, e.percent) for e in limiter.take_events()] == [
        ("budget.threshold", 50),
        ("budget.threshold", 100),
        ("budget.exceeded", 100),
    ]


def test_the_first_refusal_of_a_payable_request_reports_exceeded(limiter, clock):
    key = make_key(alert_thresholds=(80, 100))
    load(limiter, key)
    for amount, first in ((1001, False), (1000, True), (1000, False)):
        limiter.acquire((claim(key, 0),))
        held = limiter.acquire((claim(key, 1),))
        with pytest.raises(LimitExceeded) as caught:
            limiter.acquire((claim(key, amount),))
        assert caught.value.first_refusal is first
        limiter.settle_nanos(held, 0)
    kinds = [(e.kind, e.percent) for e in limiter.take_events()]
    assert kinds == [("budget.threshold", 100), ("budget.exceeded", 100)]
    clock.advance(31 * 86_400)
    limiter.acquire((claim(key, 1),))
    with pytest.raises(LimitExceeded) as caught:
        limiter.acquire((claim(key, 1000),))
    assert caught.value.first_refusal


def test_a_refusal_by_another_limit_is_no_refusal_for_budget(limiter):
    key = make_key()
    load(limiter, key)
    held = limiter.acquire((claim(key, 1000), Claim("key_a", Meter.PARALLEL, SlotsRule(1), 1)))
    with pytest.raises(LimitExceeded):
        limiter.acquire((claim(key, 1000), Claim("key_a", Meter.PARALLEL, SlotsRule(1), 1)))
    assert limiter.slots_used("key_a") == 1 and limiter.slots_used("key_b") == 0
    assert limiter.take_events() == []
    limiter.release(held, None)


def test_an_edited_limit_arms_the_thresholds_anew_and_a_restart_repeats_them(limiter, clock):
    key = make_key(alert_thresholds=(50,))
    load(limiter, key, spent=600)
    [first] = limiter.take_events()
    limiter.update(make_key(alert_thresholds=(50,), budget_nanos=2000))
    assert limiter.take_events() == []
    limiter.update(make_key(alert_thresholds=(50,), budget_nanos=1100))
    [lowered] = limiter.take_events()
    assert lowered.dedupe != first.dedupe
    again = MemoryLimiter(clock)
    load(again, key, spent=600)
    assert [e.dedupe for e in again.take_events()] == [first.dedupe]


def test_each_threshold_on_the_way_fires_in_its_turn_and_anew_in_the_next_period(limiter, clock):
    key = make_key(alert_thresholds=(10, 50, 80))
    load(limiter, key)
    reached = []
    for _ in range(100):
        spend(limiter, key, 10)
        reached += [(limiter.budget_state(key).spent_nanos, e.kind, e.percent) for e in limiter.take_events()]
    assert reached == [
        (100, "budget.threshold", 10),
        (500, "budget.threshold", 50),
        (800, "budget.threshold", 80),
        (1000, "budget.exceeded", 100),
    ]
    clock.advance(31 * 86_400)
    spend(limiter, key, 100)
    assert [e.percent for e in limiter.take_events()] == [10]


def test_an_edit_does_not_announce_the_former_period_again(limiter, clock):
    key = make_key(alert_thresholds=(50,))
    load(limiter, key, spent=900)
    limiter.take_events()
    late = limiter.acquire((claim(key, 60),))
    clock.advance(31 * 86_400)
    spend(limiter, key, 1)
    limiter.update(make_key(alert_thresholds=(95,)))
    assert limiter.take_events() == []
    limiter.settle_nanos(late, 50)
    assert [(e.percent, e.period) for e in limiter.take_events()] == [(95, "month:2026-09-01T00:00:00Z")]


def test_nothing_spent_reaches_no_threshold(limiter):
    load(limiter, make_key(budget_nanos=0, alert_thresholds=(50,)))
    assert limiter.take_events() == []


def test_a_charge_above_its_bound_is_booked_and_reported(limiter, caplog):
    key = make_key()
    load(limiter, key)
    limiter.settle_nanos(limiter.acquire((claim(key, 10),)), 700)
    assert limiter.overshoots == 1
    assert "proven bound" in caplog.text
    assert limiter.budget_state(key).spent_nanos == 700


def test_a_negative_charge_never_lowers_spend(limiter, caplog):
    key = make_key()
    load(limiter, key, spent=500)
    caplog.set_level(logging.ERROR)
    limiter.settle_nanos(limiter.acquire((claim(key, 10),)), -400)
    assert limiter.budget_state(key).spent_nanos == 500
    assert "negative" in caplog.text


def test_a_token_draws_from_its_parent_too(limiter):
    parent, token = make_key(), make_key(id="key_t", budget_nanos=100)
    load(limiter, parent, token)
    lease = limiter.acquire((claim(token, 60), claim(parent, 60)), ("key_t", "key_a"))
    with pytest.raises(LimitExceeded) as caught:
        limiter.acquire((claim(token, 60), claim(parent, 60)))
    assert caught.value.claim.key_id == "key_t"
    limiter.settle_nanos(lease, 50)
    assert limiter.budget_state(token).spent_nanos == limiter.budget_state(parent).spent_nanos == 50
    assert limiter.budget_state(parent).reserved_nanos == 0


def test_a_token_without_a_budget_of_its_own_still_charges_the_parent(limiter):
    parent = make_key()
    load(limiter, parent)
    lease = limiter.acquire((claim(parent, 60),), ("key_t", "key_a"))
    limiter.settle_nanos(lease, 50)
    assert limiter.budget_state(parent).spent_nanos == 50


@pytest.mark.parametrize("key_ids", [(), ("key_a",)])
def test_a_budget_set_while_an_exchange_runs_sees_its_charge(limiter, key_ids):
    key = make_key()
    rate = Claim("key_a", Meter.REQUESTS, BucketRule(60, 60), 1)
    early, middle, late = (limiter.acquire((rate,), key_ids) for _ in range(3))
    limiter.settle_nanos(early, 1)  # before the cut: the store's sum has it
    [job] = limiter.begin_rebuilds([key])
    limiter.settle_nanos(middle, 20)
    limiter.finish_rebuild(job, 1)
    limiter.settle_nanos(late, 300)
    assert limiter.budget_state(key).spent_nanos == 321


def test_an_edited_period_keeps_the_old_counter_until_the_new_one_is_there(limiter):
    old, new = make_key(), make_key(budget_period=BudgetPeriod.DAY, budget_nanos=500)
    load(limiter, old, spent=900)
    assert limiter.needs_rebuild(new)
    running = limiter.acquire((claim(old, 40),))
    [job] = limiter.begin_rebuilds([new])
    with pytest.raises(LimitExceeded):
        limiter.acquire((claim(old, 61),))
    with pytest.raises(CounterUnknown):
        limiter.acquire((claim(new, 1),))
    second = limiter.acquire((claim(old, 60),))
    limiter.settle_nanos(second, 50)
    limiter.finish_rebuild(job, 7)
    state = limiter.budget_state(new)
    assert (state.spent_nanos, state.reserved_nanos, state.period) == (57, 40, "day:2026-09-21T00:00:00Z")
    limiter.acquire((claim(old, 1),))  # judged just before the edit, counted where it belongs
    limiter.settle_nanos(running, 30)
    assert limiter.budget_state(new).spent_nanos == 87


def test_a_counter_that_got_lost_must_be_rebuilt(limiter, clock):
    key = make_key(budget_period=BudgetPeriod.DAY)
    load(limiter, key)
    assert not limiter.needs_rebuild(key)
    clock.set_wall(clock.now_ms() - 5 * 86_400_000)
    assert limiter.needs_rebuild(key)


def test_a_later_rebuild_voids_the_earlier_one(limiter):
    key = make_key()
    [first] = limiter.begin_rebuilds([key])
    [second] = limiter.begin_rebuilds([key])
    assert not limiter.finish_rebuild(first, 5)
    assert limiter.finish_rebuild(second, 6)
    assert limiter.budget_state(key).spent_nanos == 6
    assert not limiter.finish_rebuild(second, 6)


def test_a_removed_budget_is_forgotten_and_must_be_rebuilt(limiter):
    key = make_key()
    load(limiter, key)
    running = limiter.acquire((claim(key, 100),))
    limiter.update(make_key(budget_nanos=None))
    assert limiter.needs_rebuild(key)
    [job] = limiter.begin_rebuilds([key])
    limiter.finish_rebuild(job, 0)
    assert limiter.budget_state(key).reserved_nanos == 100
    limiter.settle_nanos(running, 90)
    assert limiter.budget_state(key).remaining_nanos == 910
    limiter.update(make_key(budget_nanos=None))
    assert limiter.counters() == (0, 0, 0, 0)
    limiter.update(make_key(budget_nanos=None))


def test_a_deleted_key_leaves_no_counter_and_its_leases_end_in_peace(limiter):
    key = make_key()
    load(limiter, key)
    rate = BucketRule(60, 60)
    lease = limiter.acquire(
        (
            Claim("key_a", Meter.PARALLEL, SlotsRule(3), 1),
            Claim("key_a", Meter.REQUESTS, rate, 1),
            claim(key, 5),
        )
    )
    [job] = limiter.begin_rebuilds([key])
    limiter.forget("key_a")
    assert not limiter.finish_rebuild(job, 0)
    limiter.settle_nanos(lease, 5)
    limiter.release(lease, 3)
    assert limiter.counters() == (0, 0, 0, 0)


def test_the_sweep_drops_full_buckets_only(limiter, clock):
    rule = BucketRule(60, 60)
    for number in range(50):
        limiter.acquire((Claim(f"key_{number}", Meter.REQUESTS, rule, 1),))
    limiter.acquire((Claim("key_busy", Meter.TOKENS, rule, 30),))
    clock.advance(2)
    limiter.sweep()
    limiter.sweep()
    assert limiter.counters() == (0, 1, 0, 0)
    limiter.release(limiter.acquire((Claim("key_late", Meter.TOKENS, rule, 1),)), 1)


def test_a_debt_is_kept_when_its_bucket_was_swept(limiter, clock):
    rule = BucketRule(60, 60)
    lease = limiter.acquire((Claim("key_a", Meter.TOKENS, rule, 10),))
    clock.advance(30)
    limiter.sweep()
    limiter.sweep()
    assert limiter.counters()[1] == 0
    limiter.release(lease, 200)
    with pytest.raises(LimitExceeded) as caught:
        limiter.acquire((Claim("key_a", Meter.TOKENS, rule, 1),))
    assert caught.value.available == -130


def test_reserved_money_is_shown_where_it_changed(limiter):
    key = make_key()
    load(limiter, key)
    limiter.take_reserved()
    lease = limiter.acquire((claim(key, 70),))
    assert limiter.take_reserved() == {"key_a": 70}
    assert limiter.take_reserved() == {}
    limiter.settle_nanos(lease, 3)
    assert limiter.take_reserved() == {"key_a": 0}


def test_a_wall_clock_set_back_returns_to_the_former_period(limiter, clock):
    key = make_key(budget_period=BudgetPeriod.DAY)
    load(limiter, key, spent=100)
    clock.set_wall(NOW + 86_400_000)
    spend(limiter, key, 7)
    clock.set_wall(NOW)
    assert limiter.budget_state(key).spent_nanos == 100
    clock.set_wall(NOW + 86_400_000)
    assert limiter.budget_state(key).spent_nanos == 7
    clock.set_wall(NOW - 5 * 86_400_000)
    with pytest.raises(CounterUnknown):
        limiter.acquire((claim(key, 1),))
    with pytest.raises(CounterUnknown):
        limiter.budget_state(key)
