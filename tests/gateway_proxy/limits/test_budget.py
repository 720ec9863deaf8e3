"""A budget's counter equals the ledger, whatever the order of admissions, settlements, edits and midnights."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import BucketRule, Claim, CounterUnknown, LimitExceeded, Meter, budget_rule
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.limits.periods import FAR_MS, find_window

RATE = BucketRule(10**9, 10**9)
PERIODS = st.sampled_from(list(BudgetPeriod))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Havana"])


def make_key(budget_nanos, period, zone) -> Key:
    return Key(
        id="key_a", name="A", organization="org_1", owner="local",
        budget_nanos=budget_nanos, budget_period=period, budget_timezone=zone,
    )  # fmt: skip


class BudgetMachine(RuleBasedStateMachine):
    """The model is a list of ledger rows (admission, charge) and one of live reservations."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1_790_000_000_000)
        self.limiter = MemoryLimiter(self.clock)
        self.key = make_key(None, BudgetPeriod.TOTAL, "UTC")
        self.rows: list[tuple[int, int]] = []
        self.live: list[tuple[object, int]] = []
        self.job = None
        self.edited: Key | None = None
        self.stored = 0

    def within(self, key: Key, at: int) -> bool:
        window = find_window(key.budget_period, key.budget_timezone, self.clock.now_ms())
        return window.start_ms <= at < (window.end_ms or FAR_MS)

    def spent(self, key: Key) -> int:
        return sum(charge for at, charge in self.rows if self.within(key, at))

    def reserved(self, key: Key) -> int:
        return sum(amount for lease, amount in self.live if self.within(key, lease.admitted_at))

    @rule(amount=st.integers(0, 400))
    def admit(self, amount):
        key = self.key
        rate = Claim("key_a", Meter.REQUESTS, RATE, 1)
        if key.budget_nanos is None:
            self.live.append((self.limiter.acquire((rate,), ("key_a",)), 0))
            return
        total = self.spent(key) + self.reserved(key) + amount
        try:
            lease = self.limiter.acquire((rate, Claim("key_a", Meter.NANOS, budget_rule(key), amount)))
        except LimitExceeded:
            assert amount
            assert total > key.budget_nanos
            return
        assert not amount or total <= key.budget_nanos
        self.live.append((lease, amount))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def settle(self, data):
        lease, amount = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
        charged = data.draw(st.integers(0, amount)) if amount else data.draw(st.integers(0, 200))
        self.limiter.settle_nanos(lease, charged)
        self.limiter.settle_nanos(lease, charged)
        self.limiter.release(lease, None)
        self.rows.append((lease.admitted_at, charged))

    @rule(seconds=st.sampled_from([1, 3600, 40_000, 86_400, 400_000, 3_000_000]))
    def pass_time(self, seconds):
        self.clock.advance(seconds)

    @rule(limit=st.integers(0, 3000), period=PERIODS, zone=ZONES)
    def edit(self, limit, period, zone):
        """The cut: the store will answer with exactly the rows that exist now."""
        self.edited = make_key(limit, period, zone)
        [self.job] = self.limiter.begin_rebuilds([self.edited])
        _, start, end = self.job.window
        self.stored = sum(charge for at, charge in self.rows if start <= at < end)

    @precondition(lambda self: self.job is not None)
    @rule()
    def store_answers(self):
        assert self.limiter.finish_rebuild(self.job, self.stored)
        self.key, self.job, self.edited = self.edited, None, None

    @rule()
    def remove_budget(self):
        self.key = make_key(None, BudgetPeriod.TOTAL, "UTC")
        self.limiter.update(self.key)
        self.job = None

    @invariant()
    def counter_is_the_ledger(self):
        if self.key.budget_nanos is None:
            return
        state = self.limiter.budget_state(self.key)
        assert state.spent_nanos == self.spent(self.key)
        assert state.reserved_nanos == self.reserved(self.key)


BudgetMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestBudget = pytest.mark.slow(BudgetMachine.TestCase)


def test_a_rebuild_that_lives_over_midnight_keeps_both_days():
    clock = FakeClock(1_790_000_000_000)
    limiter = MemoryLimiter(clock)
    key = make_key(100, BudgetPeriod.DAY, "UTC")
    [job] = limiter.begin_rebuilds([key])
    clock.advance(86_400)
    lease = limiter.acquire((), ("key_a",))
    limiter.settle_nanos(lease, 30)
    limiter.finish_rebuild(job, 99)
    assert limiter.budget_state(key).spent_nanos == 30


def test_a_claim_of_a_rule_that_was_never_loaded_is_refused():
    clock = FakeClock(1_790_000_000_000)
    limiter = MemoryLimiter(clock)
    [job] = limiter.begin_rebuilds([make_key(100, BudgetPeriod.DAY, "UTC")])
    limiter.finish_rebuild(job, 0)
    claim = Claim("key_a", Meter.NANOS, budget_rule(make_key(100, BudgetPeriod.WEEK, "UTC")), 1)
    with pytest.raises(CounterUnknown):
        limiter.acquire((claim,))
