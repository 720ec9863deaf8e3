"""The end of an attempt: what is charged, by which source, and exactly once."""

import logging
from typing import Any

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import Unavailable
from gateway_proxy.core.exchange import Attempt, Exchange, Outcome
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.limiter import Claim, Meter
from gateway_proxy.core.route import InputBound
from gateway_proxy.core.usage import Usage, UsageSource
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.proxy.settle import GatewayIdentity, Settlement
from gateway_proxy.stages.rate import LearnedOutput
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route, make_target


class FakeBooks:
    healthy = True

    def __init__(self) -> None:
        self.open = True
        self.settled: list[LedgerRow] = []
        self.logs: list[LogRow] = []

    def intent(self, row: LedgerRow) -> bool:
        return self.open

    def settle(self, row: LedgerRow) -> None:
        self.settled.append(row)

    def log(self, row: LogRow) -> None:
        self.logs.append(row)

    def collect_events(self) -> None:
        pass


class Tap:
    """What was found in an answer."""

    def __init__(self, usage: Usage | None = None, *, streamed: int = 0, invalid: bool = False) -> None:
        self.usage, self.streamed_tokens, self.invalid_usage = usage, streamed, invalid
        self.reported_model, self.service_tier = "m-2026", None
        self.finished, self.usage_final = False, True


class Bench:
    """An admitted exchange with one attempt under way; `reserved` is what its budget holds for it."""

    def __init__(self, *, budget: int | None = None, reserved: int = 700_000, **route: Any) -> None:
        self.policy = make_policy(budget_nanos=budget)
        self.limiter, self.books, self.clock = MemoryLimiter(FakeClock()), FakeBooks(), FakeClock()
        for job in self.limiter.begin_rebuilds([self.policy.key]):
            self.limiter.finish_rebuild(job, 0)
        self.limiter.update(self.policy.key)
        rule = self.policy.budget_rule
        claims = () if rule is None else (Claim("key_a", Meter.NANOS, rule, reserved),)
        lease = self.limiter.acquire(claims, key_ids=("key_a",))
        self.exchange: Exchange = make_exchange(self.policy, make_model(), make_route(**route), lease=lease)
        identity = GatewayIdentity("gtw_1", "default")
        self.settlement = Settlement(self.books, self.limiter, LearnedOutput(), self.clock, identity)
        self.attempt = Attempt(1, make_target(), lease, 0 if rule is None else reserved, admitted_at=5)
        self.attempt.dispatched, self.attempt.status = True, 200
        self.exchange.attempts.append(self.attempt)

    def close(self, tap: Tap | None, outcome: Outcome = Outcome.COMPLETED) -> Attempt:
        self.settlement.open_attempt(self.exchange, self.attempt)
        self.attempt.outcome = outcome
        for _ in range(2):
            self.settlement.close_attempt(self.exchange, self.attempt, tap)  # type: ignore[arg-type]
        assert (
            len(self.books.settled) == 1 and self.books.settled[0].charged_nanos == self.attempt.charged_nanos
        )
        return self.attempt

    def spent(self) -> int:
        state = self.limiter.budget_state(self.policy.key)
        assert state is not None and state.reserved_nanos == 0
        return state.spent_nanos


def test_the_providers_own_usage_is_charged() -> None:
    bench = Bench(budget=10**9)
    attempt = bench.close(Tap(Usage(input=10, output=3)))
    assert (attempt.usage_source, attempt.charged_nanos) == (UsageSource.PROVIDER, 10 * 2000 + 3 * 10_000)
    assert bench.spent() == attempt.charged_nanos
    assert bench.books.settled[0].model_reported == "m-2026"


def test_a_running_sum_of_a_stream_that_broke_off_is_not_believed() -> None:
    bench, tap = Bench(budget=10**9), Tap(Usage(input=10, output=3))
    tap.usage_final = False
    attempt = bench.close(tap, Outcome.UPSTREAM_FAILED)
    assert (attempt.usage_source, attempt.charged_nanos) == (UsageSource.ESTIMATED, 700_000)
    whole, tap = Bench(budget=10**9), Tap(Usage(input=10, output=3))
    tap.usage_final = False
    assert whole.close(tap).usage_source is UsageSource.PROVIDER


def test_zero_is_an_answer_too() -> None:
    attempt = Bench(budget=10**9).close(Tap(Usage()))
    assert (attempt.usage_source, attempt.charged_nanos) == (UsageSource.PROVIDER, 0)


def test_more_than_the_bound_raises_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Bench(budget=10**9, reserved=5).close(Tap(Usage(output=1)))
    assert "ALARM" in caplog.text


def test_without_usage_the_bound_under_a_budget() -> None:
    bench = Bench(budget=10**9)
    attempt = bench.close(Tap(streamed=3))
    assert (attempt.usage_source, attempt.charged_nanos, bench.spent()) == (
        UsageSource.ESTIMATED,
        700_000,
        700_000,
    )


@pytest.mark.parametrize(
    ("tap", "outcome", "source", "charged"),
    [
        (Tap(streamed=3), Outcome.CLIENT_GONE, UsageSource.PARTIAL, 100 * 2000 + 3 * 10_000),
        (Tap(streamed=3), Outcome.COMPLETED, UsageSource.ESTIMATED, 100 * 2000 + 3 * 10_000),
        (None, Outcome.UPSTREAM_FAILED, UsageSource.ESTIMATED, 100 * 2000),
        (Tap(invalid=True), Outcome.COMPLETED, UsageSource.ESTIMATED, 100 * 2000),
    ],
)
def test_without_usage_the_estimate_without_a_budget(
    tap: Tap | None, outcome: Outcome, source: UsageSource, charged: int
) -> None:
    attempt = Bench().close(tap, outcome)
    assert (attempt.usage_source, attempt.charged_nanos) == (source, charged)


@pytest.mark.parametrize(
    ("dispatched", "status", "source"),
    [(False, None, "none"), (True, 400, "none"), (True, 401, "none"), (True, 307, "none"), (True, 429, "estimated"), (True, 408, "estimated"),
     (True, 500, "estimated"), (True, None, "estimated")],
)  # fmt: skip
def test_what_is_owed_for_failures_under_a_budget(dispatched: bool, status: int | None, source: str) -> None:
    bench = Bench(budget=10**9)
    bench.attempt.dispatched, bench.attempt.status = dispatched, status
    attempt = bench.close(None, Outcome.UPSTREAM_FAILED)
    assert attempt.usage_source == source
    assert bench.spent() == (700_000 if source == "estimated" else 0)


def test_counted_units_are_added() -> None:
    attempt = Bench(bound=InputBound(units=Usage(images=2))).close(Tap(Usage(input=1)))
    assert (attempt.usage.images, attempt.usage.requests) == (2, 1)


def test_no_spool_no_budget() -> None:
    bench = Bench(budget=10**9)
    bench.books.open = False
    with pytest.raises(Unavailable) as refused:
        bench.settlement.open_attempt(bench.exchange, bench.attempt)
    assert refused.value.code == "budget_unverifiable"
    free = Bench()
    free.books.open = False
    free.settlement.open_attempt(free.exchange, free.attempt)
    assert free.attempt.row is not None and free.attempt.row.estimated_nanos == 100 * 2000


def test_the_log_row_tells_the_whole_exchange() -> None:
    bench = Bench()
    bench.close(Tap(Usage(input=10, output=3)))
    bench.exchange.status = 200
    bench.settlement.close_exchange(bench.exchange, bench.exchange.lease, 7_000_000)
    row = bench.books.logs[0]
    assert (row.key_id, row.status, row.model, row.provider, row.attempts) == ("key_a", 200, "m", "openai", 1)
    assert (row.cost_nanos, row.input_tokens, row.output_tokens, row.latency_ms, row.admitted) == (
        50_000,
        10,
        3,
        7,
        True,
    )
