"""The budget's claim: the dearest target that may serve the request, or a refusal."""

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import ModelForbidden, Unavailable
from gateway_proxy.core.limiter import Meter
from gateway_proxy.core.usage import Price, Rates
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.stages.budget import Budget
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route, make_target

POLICY = make_policy(budget_nanos=10**9)
DEAR = make_target("dear", Price(Rates(input=4_000_000_000, output=20_000_000_000)))


def stage(spent: int = 0, *, books_open: bool = True) -> Budget:
    limiter = MemoryLimiter(FakeClock())
    for job in limiter.begin_rebuilds([POLICY.key]):
        limiter.finish_rebuild(job, spent)
    limiter.update(POLICY.key)
    return Budget(limiter, lambda: books_open)


def test_without_a_budget_nothing_is_claimed() -> None:
    exchange = make_exchange(make_policy(), make_model(make_target(price=None)), make_route())
    stage(books_open=False).check(exchange)
    assert exchange.claims == [] and exchange.bound is None


def test_the_dearest_target_is_claimed() -> None:
    exchange = make_exchange(POLICY, make_model(make_target(), DEAR), make_route())
    stage().check(exchange)
    assert [(claim.meter, claim.amount) for claim in exchange.claims] == [
        (Meter.NANOS, 100 * 4000 + 50 * 20_000)
    ]
    assert exchange.output_cap is None


def test_unpriced_targets_are_left_out_and_alone_refused() -> None:
    exchange = make_exchange(POLICY, make_model(make_target("a", None), make_target("b")), make_route())
    stage().check(exchange)
    assert [target.provider for target in exchange.targets] == ["b"]
    with pytest.raises(ModelForbidden) as refused:
        stage().check(make_exchange(POLICY, make_model(make_target(price=None)), make_route()))
    assert refused.value.code == "model_unpriced"


def test_a_missing_maximum_is_written_in() -> None:
    exchange = make_exchange(
        POLICY, make_model(make_target(), DEAR, max_output_tokens=10**6), make_route(max_output_tokens=None)
    )
    stage(spent=8 * 10**8).check(exchange)
    assert exchange.output_cap == (2 * 10**8 - 100 * 4000) // 20_000
    assert exchange.bound is not None and exchange.bound.nanos <= 2 * 10**8


def test_free_passes_with_nothing_left() -> None:
    free = make_target(price=Price(Rates()))
    exchange = make_exchange(POLICY, make_model(free), make_route(max_output_tokens=None))
    stage(spent=10**9).check(exchange)
    assert exchange.claims == [] and exchange.output_cap is None


def test_no_books_no_budget() -> None:
    with pytest.raises(Unavailable) as refused:
        stage(books_open=False).check(make_exchange(POLICY, make_model(), make_route()))
    assert refused.value.code == "budget_unverifiable"
    with pytest.raises(Unavailable):
        Budget(MemoryLimiter(FakeClock()), lambda: True).check(
            make_exchange(POLICY, make_model(), make_route(max_output_tokens=None))
        )
