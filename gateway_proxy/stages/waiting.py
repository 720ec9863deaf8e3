"""The two stages that ask the limiter, where it has to ask elsewhere. What they decide is what `budget` and `admission` decide."""

from collections.abc import Awaitable, Sequence
from typing import ClassVar

from gateway_proxy.core.errors import GatewayError
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.limiter import Claim, CounterUnknown, LimitExceeded, Meter, WaitingLimiter
from gateway_proxy.core.policy import Budgets, KeyPolicy
from gateway_proxy.core.stage import Stage
from gateway_proxy.stages.admission import Judge, unverifiable
from gateway_proxy.stages.budget import Budget

# A budget that could pay for so many such requests needs not be looked at before the output is capped by it.
_AMPLE = 4


class WaitingBudget:
    """Caps the output of a request without a maximum by what the budget has now, not when it was last heard of.

    All others need no waiting, and then there is nothing to await.
    """

    name: ClassVar[str] = Budget.name
    rules: ClassVar[tuple[str, ...]] = Budget.rules
    needs_body: ClassVar[bool] = True
    may_wait: ClassVar[bool] = True

    def __init__(self, budget: Budget, limiter: WaitingLimiter) -> None:
        self._budget = budget
        self._limiter = limiter
        self.probe = budget.check  # by what was last heard

    def check(self, exchange: Exchange) -> Awaitable[None] | None:
        policy, route = exchange.policy, exchange.route
        assert policy is not None and route is not None
        if policy.budgets and route.max_output_tokens is None and route.wants_output_cap:
            return self._cap(exchange, policy)
        self._budget.check(exchange)
        return None

    async def _cap(self, exchange: Exchange, policy: KeyPolicy) -> None:
        claims = len(exchange.claims)
        try:
            self._budget.check(exchange)
        except GatewayError as refusal:
            if refusal.status == 403:
                raise  # no price, no bound: nothing that a budget could mend
        else:
            if self._is_ample(policy.budgets, 0 if exchange.bound is None else exchange.bound.nanos):
                return
        del exchange.claims[claims:]
        await look_at_budgets(self._limiter, policy)
        self._budget.check(exchange)

    def _is_ample(self, budgets: Budgets, nanos: int) -> bool:
        states = [self._limiter.budget_state(key) for key, _ in budgets]
        return all(state is not None and state.remaining_nanos >= _AMPLE * nanos for state in states)


class WaitingAdmission(Judge):
    """Waits for the one answer about all claims."""

    def __init__(
        self,
        limiter: WaitingLimiter,
        budget: Budget,
        *,
        budget_status: int = 429,
        shadowed: Sequence[Stage] = (),
    ) -> None:
        super().__init__(limiter, budget_status=budget_status, shadowed=shadowed)
        self._waiting = limiter
        self._budget = budget

    async def check(self, exchange: Exchange) -> None:
        policy = exchange.policy
        assert policy is not None
        if policy.shadow is not None:
            await look_at_budgets(self._waiting, policy.shadow)
            await self._judge_shadow_waiting(exchange, policy.shadow)
        try:
            try:
                await self._acquire(exchange, policy)
            except LimitExceeded as exceeded:
                if exceeded.claim.meter is not Meter.NANOS or exchange.output_cap is None:
                    raise
                # The cap came from what was heard earlier; the refusal brought what is true now.
                exchange.claims = [claim for claim in exchange.claims if claim.meter is not Meter.NANOS]
                self._budget.check(exchange)
                await self._acquire(exchange, policy)
        except CounterUnknown:
            raise unverifiable() from None
        except LimitExceeded as exceeded:
            raise self._describe(exceeded) from None

    async def _acquire(self, exchange: Exchange, policy: KeyPolicy) -> None:
        exchange.lease = await self._waiting.acquire(
            tuple(exchange.claims), key_ids=policy.key_ids, name=f"{exchange.id}~1"
        )

    async def _judge_shadow_waiting(self, exchange: Exchange, rules: KeyPolicy) -> None:
        """As `_judge_shadow`, by counters that were just looked at."""
        judged = self._claim_in_shadow(exchange, rules)
        if judged is not None:
            await self._waiting.look(tuple(judged.claims), key_ids=rules.key_ids)
            self._probe_shadow(exchange, judged)


async def look_at_budgets(limiter: WaitingLimiter, policy: KeyPolicy) -> None:
    """Hear how the budgets stand that pay for this key."""
    await limiter.look(_claim_nothing(policy), key_ids=policy.key_ids)


async def look_at_limits(limiter: WaitingLimiter, policy: KeyPolicy) -> None:
    """Hear how all limits of this key stand, before it is told of them."""
    tokens = tuple(Claim(key_id, Meter.TOKENS, rule, 0) for key_id, rule in policy.tokens_rules)
    claims = (*policy.request_claims, *tokens, *_claim_nothing(policy))
    await limiter.look(claims, key_ids=policy.key_ids)


def _claim_nothing(policy: KeyPolicy) -> tuple[Claim, ...]:
    """On each budget that pays."""
    return tuple(Claim(key.id, Meter.NANOS, rule, 0) for key, rule in policy.budgets)
