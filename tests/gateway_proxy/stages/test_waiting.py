"""The waiting stages decide as the others do, by what a limiter elsewhere says."""

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import BudgetExceeded, RateLimited, Unavailable
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import Claim, CounterUnknown, Meter
from gateway_proxy.core.policy import compile_policy
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.stages.budget import Budget
from gateway_proxy.stages.rate import LearnedOutput, Rate
from gateway_proxy.stages.waiting import WaitingAdmission, WaitingBudget, look_at_limits
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route

POLICY = make_policy(budget_nanos=10**9, requests_per_minute=1)


class Elsewhere(MemoryLimiter):
    """A limiter whose budgets are heard of by looking only, with how often that was."""

    def __init__(self, spent: int) -> None:
        super().__init__(FakeClock())
        for job in self.begin_rebuilds([POLICY.key]):
            self.finish_rebuild(job, spent)
        self.looks = 0
        self.heard: int | None = None  # remaining, as last heard
        self.names: list[str] = []

    async def acquire(self, claims, key_ids=(), name=""):  # type: ignore[override,no-untyped-def]
        self.names.append(name)
        try:
            return super().acquire(claims, key_ids)
        finally:
            self._hear()

    async def look(self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = ()) -> None:
        self.looks += 1
        self._hear()

    def _hear(self) -> None:
        state = super().budget_state(POLICY.key)
        assert state is not None
        self.heard = state.remaining_nanos

    def budget_state(self, key: Key, /):  # type: ignore[override,no-untyped-def]
        if self.heard is None:
            raise CounterUnknown(key.id)
        state = super().budget_state(key)
        assert state is not None
        return state._replace(spent_nanos=state.limit_nanos - self.heard, reserved_nanos=0)


async def run(budget: WaitingBudget, exchange: Exchange) -> None:
    waiting = budget.check(exchange)
    if waiting is not None:
        await waiting


def stages(spent: int = 0) -> tuple[Elsewhere, WaitingBudget, WaitingAdmission]:
    limiter = Elsewhere(spent)
    budget = Budget(limiter, lambda: True)
    shadowed = (Rate(LearnedOutput()), budget)
    return limiter, WaitingBudget(budget, limiter), WaitingAdmission(limiter, budget, shadowed=shadowed)


async def test_a_request_with_a_maximum_looks_at_nothing() -> None:
    limiter, budget, admission = stages()
    exchange = make_exchange(POLICY, make_model(), make_route(), claims=list(POLICY.request_claims))
    await run(budget, exchange)
    await admission.check(exchange)
    assert limiter.looks == 0 and limiter.names == [f"{exchange.id}~1"]
    assert exchange.lease is not None and len(exchange.lease.claims) == 2
    again = make_exchange(POLICY, make_model(), make_route(), claims=list(POLICY.request_claims))
    with pytest.raises(RateLimited):
        await admission.check(again)


async def test_a_cap_comes_from_what_the_budget_has_now() -> None:
    limiter, budget, admission = stages(spent=10**9 - 4_000_000)
    exchange = make_exchange(POLICY, make_model(), make_route(max_output_tokens=None))
    await run(budget, exchange)
    assert limiter.looks == 1 and exchange.output_cap is not None
    await admission.check(exchange)
    assert exchange.lease is not None


async def test_a_cap_from_old_news_is_made_anew_when_admission_learns_better() -> None:
    limiter, budget, admission = stages(spent=10**9 - 4_000_000)
    limiter.heard = 10**12  # ample, it seems
    exchange = make_exchange(
        POLICY, make_model(max_output_tokens=100_000), make_route(max_output_tokens=None)
    )
    await run(budget, exchange)
    assert limiter.looks == 0
    first = exchange.output_cap
    await admission.check(exchange)
    assert exchange.lease is not None and exchange.output_cap is not None and first is not None
    assert exchange.output_cap < first


async def test_what_is_exhausted_or_unknown_is_refused() -> None:
    _, budget, admission = stages(spent=10**9)
    exchange = make_exchange(POLICY, make_model(), make_route())
    await run(budget, exchange)
    with pytest.raises(BudgetExceeded):
        await admission.check(exchange)
    stranger = make_policy(id="key_b", budget_nanos=5)
    claims = [Claim("key_b", Meter.NANOS, stranger.budgets[0][1], 1)]
    with pytest.raises(Unavailable):
        await admission.check(make_exchange(stranger, claims=claims))


async def test_a_shadowed_key_is_judged_by_what_was_just_heard() -> None:
    limiter, _, admission = stages(spent=10**9)
    key = Key(id="key_a", name="A", organization="acme", owner="local", budget_nanos=10**9, shadow=True)
    exchange = make_exchange(compile_policy(key), make_model(), make_route())
    await admission.check(exchange)
    assert exchange.would_deny == "insufficient_quota" and exchange.lease is not None
    assert limiter.looks == 2


async def test_all_limits_of_a_key_are_looked_at() -> None:
    seen: list[Claim] = []

    class Listening:
        async def look(self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = ()) -> None:
            seen.extend(claims)

    policy = make_policy(budget_nanos=5, requests_per_minute=1, tokens_per_minute=2, max_parallel_requests=3)
    await look_at_limits(Listening(), policy)  # type: ignore[arg-type]
    assert {claim.meter for claim in seen} == set(Meter)
