"""The one all-or-nothing acquisition of everything that the other stages claimed. Last of all."""

from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar

from gateway_proxy.core.clock import format_time
from gateway_proxy.core.errors import BudgetExceeded, GatewayError, RateLimited, Unavailable
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.limiter import REFUSAL_ORDER, Counters, CounterUnknown, Limiter, LimitExceeded, Meter
from gateway_proxy.core.money import format_usd
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.stage import Stage


class Judge:
    """What admission needs of counters beside acquiring: whether a claim would fit, and how its refusal reads."""

    name: ClassVar[str] = "admission"
    rules: ClassVar[tuple[str, ...]] = ("rate", "budget")
    needs_body: ClassVar[bool] = True

    def __init__(
        self, limiter: Counters, *, budget_status: int = 429, shadowed: Sequence[Stage] = ()
    ) -> None:
        """`shadowed` are the stages whose rules are judged, and refuse nothing, for a key that is shadowed."""
        self._limiter = limiter
        self._budget_status = budget_status
        self._shadowed = tuple(shadowed)

    def probe(self, exchange: Exchange, *, announce: bool = False) -> None:
        """Whether the claims could be acquired now; nothing is taken."""
        for claim in sorted(exchange.claims, key=lambda claim: REFUSAL_ORDER[claim.meter]):
            exceeded = self._limiter.probe(claim, announce=announce)
            if exceeded is not None:
                exchange.refuse("budget" if claim.meter is Meter.NANOS else "rate", self._describe(exceeded))

    def _judge_shadow(self, exchange: Exchange, rules: KeyPolicy) -> None:
        """Note what enforced rules would have answered. What they would have let pass takes from the key's rate limits,
        so that these run out when they would; money is only counted, when it is spent."""
        judged = self._claim_in_shadow(exchange, rules)
        if judged is not None:
            self._probe_shadow(exchange, judged)

    def _claim_in_shadow(self, exchange: Exchange, rules: KeyPolicy) -> Exchange | None:
        """The exchange with what the rules would have claimed; None where one of them would have refused it."""
        judged = copy(exchange)
        judged.policy, judged.claims = rules, []
        try:
            for stage in self._shadowed:
                stage.check(judged)
        except GatewayError as refusal:
            exchange.would_deny = refusal.code
            return None
        return judged

    def _probe_shadow(self, exchange: Exchange, judged: Exchange) -> None:
        try:
            self.probe(judged, announce=True)
        except GatewayError as refusal:
            exchange.would_deny = refusal.code
            return
        exchange.claims += [claim for claim in judged.claims if claim.meter is not Meter.NANOS]

    def _describe(self, exceeded: LimitExceeded | CounterUnknown) -> GatewayError:
        if isinstance(exceeded, CounterUnknown):
            return unverifiable()
        if exceeded.claim.meter is Meter.NANOS:
            return refuse_budget(exceeded, self._budget_status)
        return refuse_rate(exceeded)


class Admission(Judge):
    def __init__(self, limiter: Limiter, *, budget_status: int = 429, shadowed: Sequence[Stage] = ()) -> None:
        super().__init__(limiter, budget_status=budget_status, shadowed=shadowed)
        self._acquire = limiter.acquire

    def check(self, exchange: Exchange) -> None:
        policy = exchange.policy
        assert policy is not None
        if policy.shadow is not None:
            self._judge_shadow(exchange, policy.shadow)
        try:
            exchange.lease = self._acquire(tuple(exchange.claims), policy.key_ids)
        except CounterUnknown:
            raise unverifiable() from None
        except LimitExceeded as exceeded:
            raise self._describe(exceeded) from None


def unverifiable() -> Unavailable:
    """The refusal of a budgeted key while its budget cannot be kept."""
    return Unavailable(
        "The budget of this key cannot be verified at the moment; try again shortly.",
        code="budget_unverifiable",
        retry_after_ms=1000,
    )


def refuse_rate(exceeded: LimitExceeded) -> GatewayError:
    """The refusal for a bucket or the parallel slots."""
    meter, amount = exceeded.claim.meter, exceeded.claim.amount
    wait = exceeded.retry_after_ms
    if meter is Meter.PARALLEL:
        return RateLimited(
            "Too many requests of this API key are running at once."
            if wait is not None
            else "This API key may not run any requests: its limit of parallel requests is 0.",
            gateway={"limit": "max_parallel_requests"},
            retry_after_ms=wait,
            should_retry=None if wait is not None else False,
        )
    kind = "requests" if meter is Meter.REQUESTS else "tokens"
    if wait is None:
        return RateLimited(
            f"This request needs {amount} {kind}, more than this API key's limit of {kind} per minute can ever grant.",
            type=kind,
            gateway={"limit": f"{kind}_per_minute", "needed": amount},
            should_retry=False,
        )
    return RateLimited(
        f"This API key's limit of {kind} per minute is reached; try again in {wait / 1000:.3f} s.",
        type=kind,
        gateway={"limit": f"{kind}_per_minute", "needed": amount, "available": max(0, exceeded.available)},
        retry_after_ms=wait,
    )


def refuse_budget(exceeded: LimitExceeded, status: int) -> GatewayError:
    """The refusal for a budget: numbers that the caller can check, and no invitation to retry."""
    state = exceeded.budget
    assert state is not None
    needed = exceeded.claim.amount
    budget: dict[str, Any] = {
        "limit": format_usd(state.limit_nanos),
        "spent": format_usd(state.spent_nanos),
        "reserved": format_usd(state.reserved_nanos),
        "needed": format_usd(needed),
        "resets_at": format_time(state.resets_at),
    }
    return BudgetExceeded(
        f"The budget of this API key is exhausted: this request could cost ${format_usd(needed)}, and "
        f"${format_usd(state.remaining_nanos)} of ${format_usd(state.limit_nanos)} is left.",
        status=status,
        gateway={"budget": budget},
        should_retry=False,
    )
