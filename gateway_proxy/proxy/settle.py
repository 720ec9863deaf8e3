"""The end of an attempt: what was used, what is charged, and the rows that say so.

Everything here is synchronous: the books are written (spool and memory) before control returns, so neither a
client that leaves nor a cancelled task can come between an answer and its bill.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.exchange import NO_USAGE, Attempt, Exchange, Outcome
from gateway_proxy.core.ledger import INTENT_FIELDS, LedgerRow, LogRow
from gateway_proxy.core.limiter import Counters, Lease
from gateway_proxy.core.usage import Usage, UsageSource
from gateway_proxy.stages.admission import unverifiable
from gateway_proxy.stages.rate import BYTES_PER_TOKEN, LearnedOutput

# Bound once: looking up an enumeration's member costs a descriptor call each time.
_COMPLETED = Outcome.COMPLETED
_PROVIDER = UsageSource.PROVIDER
_PARTIAL = UsageSource.PARTIAL
_ESTIMATED = UsageSource.ESTIMATED
_NONE = UsageSource.NONE
# A named tuple's own constructor costs twice as much; rows are made for every request.
_new_tuple = tuple.__new__
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

    def log(self, row: LogRow, /) -> bool:
        """Take the row of a request that has ended, and say whether it is kept."""
        ...

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
        limiter: Counters,
        learned: LearnedOutput,
        clock: Clock,
        gateway: GatewayIdentity,
    ) -> None:
        self._books = books
        self._limiter = limiter
        self._learned = learned
        self._now_ms = clock.now_ms
        self._gateway_id = gateway.id
        # A refusal that names no key belongs to the gateway's own organization.
        self._organization = "" if gateway.organization == "*" else gateway.organization
        self.end_trace: Callable[[Exchange, int], None] | None = None

    def open_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        """Write the intent; it must stand before anything leaves for the provider.

        Raises Unavailable when it cannot be written and the key has a budget.
        """
        policy, route = exchange.policy, exchange.route
        assert policy is not None and route is not None
        key, target = policy.key, attempt.target
        rates = attempt.rates = None if target.price is None else target.price.base
        estimated_nanos = 0
        if not policy.budgets and rates is not None:
            estimated_nanos = rates.cost_nanos(self._estimate(exchange, None))
        row = attempt.row = _new_tuple(
            LedgerRow,
            (
                exchange.id, attempt.number, self._gateway_id, key.organization, key.id, target.provider, route.model,
                target.model, route.operation, attempt.admitted_at, "usage", key.parent_id, key.owner,
                attempt.lease.period, attempt.reserved_nanos, estimated_nanos, rates, 0, 0, "none", "open", "", NO_USAGE,
            ),
        )  # fmt: skip
        if not self._books.intent(row) and policy.budgets:
            raise unverifiable()

    def close_attempt(self, exchange: Exchange, attempt: Attempt, tap: UsageTap | None) -> None:
        """Decide usage and charge, settle the money, write the row. Once; a second call does nothing."""
        if attempt.settled_at:
            return
        self._decide(exchange, attempt, tap)
        settled_at = attempt.settled_at = self._now_ms()
        charged_nanos = attempt.charged_nanos
        self._limiter.settle_nanos(attempt.lease, charged_nanos)
        row = attempt.row
        assert row is not None
        # `"" +` makes a plain str of an enum's member, which is hashed, written and bound at a fraction of the cost.
        ending = (
            attempt.rates, settled_at, charged_nanos, "" + attempt.usage_source, "" + attempt.outcome,
            attempt.reported_model, attempt.usage,
        )  # fmt: skip
        self._books.settle(_new_tuple(LedgerRow, row[:INTENT_FIELDS] + ending))

    def close_exchange(self, exchange: Exchange, lease: Lease | None, now_ns: int) -> bool:
        """Give back the slot, correct the tokens bucket, write the log row; whether it is kept."""
        last = None
        input_tokens = output_tokens = last_output = cost_nanos = 0
        for last in exchange.attempts:
            usage = last.usage
            last_output = usage.output_tokens()
            input_tokens += usage.input_tokens()
            output_tokens += last_output
            cost_nanos += last.charged_nanos
        if lease is None:
            self._books.collect_events()
        else:
            if last is None:  # admitted, and then refused or ended: what was never tried owes nothing
                self._limiter.settle_nanos(lease, 0)
            self._limiter.release(lease, input_tokens + output_tokens)
            if (
                last is not None
                and last.usage_source is _PROVIDER
                and exchange.model is not None
                and exchange.route is not None
                and not exchange.route.free
            ):
                self._learned.learn(exchange.model.name, last_output)
        provider = "" if last is None else last.target.provider
        row = self._describe(exchange, now_ns, provider, input_tokens, output_tokens, cost_nanos)
        is_logged = self._books.log(row)
        if self.end_trace is not None:
            self.end_trace(exchange, now_ns)
        return is_logged

    def _decide(self, exchange: Exchange, attempt: Attempt, tap: UsageTap | None) -> None:
        price = attempt.target.price
        usage = None
        if tap is not None:
            attempt.reported_model = tap.reported_model
            usage = tap.usage
            if attempt.outcome is not _COMPLETED and not (tap.usage_final or tap.finished):
                # Some providers send a running sum with every chunk: where they broke off it is too small.
                usage = None
        if usage is not None and tap is not None:
            self._add_counted_units(exchange, usage)
            attempt.usage, attempt.usage_source = usage, _PROVIDER
            if price is not None:
                if price.tiers or price.variants:
                    rates = price.rates_for(usage.input_tokens(), tap.service_tier)
                else:
                    rates = price.base
                attempt.rates, attempt.charged_nanos = rates, rates.cost_nanos(usage)
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
        if policy.budgets:
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
        if route.free:
            return Usage()
        output = 0 if tap is None else tap.streamed_tokens
        usage = Usage(input=route.body_bytes // BYTES_PER_TOKEN, output=output)
        Settlement._add_counted_units(exchange, usage)
        return usage

    @staticmethod
    def _add_counted_units(exchange: Exchange, usage: Usage) -> None:
        """What is counted by the request itself, and which providers do not report."""
        route = exchange.route
        assert route is not None
        if route.free:
            return
        usage.requests = 1
        units = route.bound.units
        if units is not None:
            usage.images = usage.images or units.images
            usage.characters = usage.characters or units.characters
            usage.searches = usage.searches or units.searches

    def _describe(
        self,
        exchange: Exchange,
        now_ns: int,
        provider: str,
        input_tokens: int,
        output_tokens: int,
        cost_nanos: int,
    ) -> LogRow:
        policy, route, lease, error = exchange.policy, exchange.route, exchange.lease, exchange.error
        client_ip, started_ns, first_byte_ns = exchange.client_ip, exchange.started_ns, exchange.first_byte_ns
        organization, metadata_json = self._organization, "{}"
        key_id = key_name = owner = model = ""
        if policy is not None:
            key, metadata_json = policy.key, policy.metadata_json
            organization, key_id, key_name, owner = key.organization, key.id, key.name, key.owner
        stream = False
        if route is not None:
            model, stream = route.model, route.stream
        return _new_tuple(
            LogRow,
            (
                exchange.id, exchange.received_at, self._gateway_id, organization, key_id, key_name, owner,
                metadata_json, exchange.method, exchange.path, exchange.operation, model, provider, exchange.status,
                "" if error is None else error.code, "" + exchange.outcome, lease is not None, stream,
                len(exchange.attempts), exchange.would_deny, "" if client_ip is None else str(client_ip),
                exchange.client_request_id, exchange.trace_id, input_tokens, output_tokens, cost_nanos,
                (now_ns - started_ns) // 1_000_000,
                (first_byte_ns - started_ns) // 1_000_000 if first_byte_ns else None,
            ),
        )  # fmt: skip
