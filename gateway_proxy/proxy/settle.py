"""The end of an attempt: what was used, what is charged, and the rows that say so.

Everything here is synchronous: the books are written (spool and memory) before control returns, so neither a
client that leaves nor a cancelled task can come between an answer and its bill.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.errors import Unavailable
from gateway_proxy.core.exchange import Attempt, Exchange, Outcome
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.limiter import Lease, Limiter
from gateway_proxy.core.usage import Usage, UsageSource
from gateway_proxy.stages.rate import BYTES_PER_TOKEN, LearnedOutput

# Bound once: looking up an enumeration's member costs a descriptor call each time.
_COMPLETED = Outcome.COMPLETED
_PROVIDER = UsageSource.PROVIDER
_PARTIAL = UsageSource.PARTIAL
_ESTIMATED = UsageSource.ESTIMATED
_NONE = UsageSource.NONE
log = logging.getLogger("gateway_proxy.settle")

# Answers by which a provider says that it did not begin: nothing is owed for them.
_REFUSED_STATUSES = frozenset(range(300, 500)) - {408, 429}


class Books(Protocol):
    """Where rows go: the spool first, the store behind it."""

    @property
    def healthy(self) -> bool: ...

    def intent(self, row: LedgerRow, /) -> bool:
        """Write down that an attempt begins. False when it could not be written."""
        ...

    def settle(self, row: LedgerRow, /) -> None: ...

    def log(self, row: LogRow, /) -> None: ...

    def collect_events(self) -> None:
        """Take over the budget events that a refusal may have caused."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayIdentity:
    id: str
    organization: str


class Settlement:
    """Opens and closes attempts in the books."""

    def __init__(
        self,
        books: Books,
        limiter: Limiter,
        learned: LearnedOutput,
        clock: Clock,
        gateway: GatewayIdentity,
        *,
        log_requests: bool,
    ) -> None:
        self._books = books
        self._limiter = limiter
        self._learned = learned
        self._clock = clock
        self._gateway = gateway
        self.log_requests = log_requests

    def open_attempt(self, exchange: Exchange, attempt: Attempt) -> LedgerRow:
        """Write the intent; it must stand before anything leaves for the provider.

        Raises Unavailable when it cannot be written and the key has a budget.
        """
        policy, route = exchange.policy, exchange.route
        assert policy is not None and route is not None
        key, target = policy.key, attempt.target
        attempt.rates = None if target.price is None else target.price.base
        row = LedgerRow(
            request_id=exchange.id,
            attempt=attempt.number,
            gateway_id=self._gateway.id,
            organization=key.organization,
            key_id=key.id,
            parent_id=key.parent_id,
            owner=key.owner,
            provider=target.provider,
            model_requested=route.model,
            model_sent=target.model,
            operation=route.operation,
            admitted_at=attempt.admitted_at,
            period=attempt.lease.period,
            reserved_nanos=attempt.reserved_nanos,
            rates=attempt.rates,
        )
        if key.budget_nanos is None and attempt.rates is not None:
            row.estimated_nanos = attempt.rates.cost_nanos(self._estimate(exchange, None))
        if not self._books.intent(row) and key.budget_nanos is not None:
            raise Unavailable(
                "Budgets cannot be kept at the moment; try again shortly.",
                code="budget_unverifiable",
                retry_after_ms=1000,
            )
        return row

    def close_attempt(
        self, exchange: Exchange, attempt: Attempt, row: LedgerRow, tap: UsageTap | None
    ) -> None:
        """Decide usage and charge, settle the money, write the row. Once; a second call does nothing."""
        if attempt.settled_at:
            return
        self._decide(exchange, attempt, tap)
        attempt.settled_at = self._clock.now_ms()
        self._limiter.settle_nanos(attempt.lease, attempt.charged_nanos)
        row.settled_at = attempt.settled_at
        row.charged_nanos = attempt.charged_nanos
        row.rates = attempt.rates
        row.usage = attempt.usage
        row.usage_source = attempt.usage_source
        row.model_reported = attempt.reported_model
        row.outcome = attempt.outcome
        self._books.settle(row)

    def close_exchange(self, exchange: Exchange, lease: Lease | None, now_ns: int) -> None:
        """Give back the slot, correct the tokens bucket, write the log row."""
        if lease is not None:
            used = sum(attempt.usage.tokens() for attempt in exchange.attempts)
            self._limiter.release(lease, used)
            last = exchange.attempts[-1] if exchange.attempts else None
            if last is not None and last.usage_source is _PROVIDER and exchange.model is not None:
                self._learned.learn(exchange.model.name, last.usage.output_tokens())
        if lease is None:
            self._books.collect_events()
        if self.log_requests:
            self._books.log(self._describe(exchange, now_ns))

    def _decide(self, exchange: Exchange, attempt: Attempt, tap: UsageTap | None) -> None:
        price = attempt.target.price
        usage = None if tap is None else tap.usage
        if usage is not None and tap is not None and attempt.outcome is not _COMPLETED:
            # Some providers send a running sum with every chunk: where they broke off it is too small.
            usage = usage if tap.usage_final or tap.finished else None
        if tap is not None:
            attempt.reported_model = tap.reported_model
        if usage is not None:
            self._add_counted_units(exchange, usage)
            attempt.usage, attempt.usage_source = usage, _PROVIDER
            if price is not None:
                attempt.rates = price.rates_for(
                    usage.input_tokens(), None if tap is None else tap.service_tier
                )
                attempt.charged_nanos = attempt.rates.cost_nanos(usage)
            if attempt.charged_nanos > attempt.reserved_nanos > 0:
                log.warning(
                    "ALARM: %s attempt %d at %s cost %d nano-USD, more than its bound of %d: the provider went beyond "
                    "the output cap it was given",
                    exchange.id, attempt.number, attempt.target.provider, attempt.charged_nanos, attempt.reserved_nanos,
                )  # fmt: skip
            return
        if tap is not None and tap.invalid_usage:
            log.warning(
                "ALARM: %s attempt %d: provider %s sent usage that cannot be believed",
                exchange.id,
                attempt.number,
                attempt.target.provider,
            )
        if not attempt.dispatched or attempt.status in _REFUSED_STATUSES:
            attempt.usage_source = _NONE
            return
        policy = exchange.policy
        assert policy is not None
        if policy.key.budget_nanos is not None:
            attempt.usage = self._estimate(exchange, tap)
            attempt.usage_source, attempt.charged_nanos = _ESTIMATED, attempt.reserved_nanos
        elif attempt.status is not None and attempt.status >= 400:
            attempt.usage_source = _NONE
        else:
            attempt.usage = self._estimate(exchange, tap)
            streamed = tap is not None and tap.streamed_tokens > 0 and attempt.outcome is not _COMPLETED
            attempt.usage_source = _PARTIAL if streamed else _ESTIMATED
            if attempt.rates is not None:
                attempt.charged_nanos = attempt.rates.cost_nanos(attempt.usage)

    @staticmethod
    def _estimate(exchange: Exchange, tap: UsageTap | None) -> Usage:
        route = exchange.route
        assert route is not None
        output = 0 if tap is None else tap.streamed_tokens
        usage = Usage(input=route.body_bytes // BYTES_PER_TOKEN, output=output)
        Settlement._add_counted_units(exchange, usage)
        return usage

    @staticmethod
    def _add_counted_units(exchange: Exchange, usage: Usage) -> None:
        """What is counted by the request itself, and which providers do not report."""
        assert exchange.route is not None
        usage.requests = 1
        units = exchange.route.bound.units
        if units is not None:
            usage.images = usage.images or units.images
            usage.characters = usage.characters or units.characters
            usage.searches = usage.searches or units.searches

    def _describe(self, exchange: Exchange, now_ns: int) -> LogRow:
        row = LogRow(
            request_id=exchange.id,
            at=exchange.received_at,
            gateway_id=self._gateway.id,
            organization="" if self._gateway.organization == "*" else self._gateway.organization,
            client_ip="" if exchange.client_ip is None else str(exchange.client_ip),
            client_request_id=exchange.client_request_id,
            trace_id=exchange.trace_id,
            method=exchange.method,
            path=exchange.path,
            operation=exchange.operation,
            status=exchange.status,
            outcome=exchange.outcome,
            admitted=exchange.lease is not None,
            attempts=len(exchange.attempts),
            latency_ms=(now_ns - exchange.started_ns) // 1_000_000,
        )
        if exchange.policy is not None:
            key = exchange.policy.key
            row.organization, row.key_id, row.key_name, row.owner = (
                key.organization,
                key.id,
                key.name,
                key.owner,
            )
            row.metadata_json = exchange.policy.metadata_json
        if exchange.route is not None:
            row.model, row.stream = exchange.route.model, exchange.route.stream
        for attempt in exchange.attempts:
            row.provider = attempt.target.provider
            row.cost_nanos += attempt.charged_nanos
            row.input_tokens += attempt.usage.input_tokens()
            row.output_tokens += attempt.usage.output_tokens()
        if exchange.first_byte_ns:
            row.first_byte_ms = (exchange.first_byte_ns - exchange.started_ns) // 1_000_000
        if exchange.error is not None:
            row.error_code = exchange.error.code
        return row
