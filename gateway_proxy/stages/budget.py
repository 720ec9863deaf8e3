"""A claim on the key's budget: the proven bound of the dearest target that may serve the request."""

from collections.abc import Callable
from typing import ClassVar

from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.limiter import Claim, CounterUnknown, Limiter, Meter, budget_rule
from gateway_proxy.stages.admission import unverifiable
from gateway_proxy.stages.bound import bound_output_tokens, bound_request, unpriced


class Budget:
    name: ClassVar[str] = "budget"
    needs_body: ClassVar[bool] = True

    def __init__(self, limiter: Limiter, books_open: Callable[[], bool]) -> None:
        """`books_open` says whether intents can be written; without them no budget can be kept."""
        self._limiter = limiter
        self._books_open = books_open

    def check(self, exchange: Exchange) -> None:
        policy, route, model = exchange.policy, exchange.route, exchange.model
        assert policy is not None and route is not None and model is not None
        key = policy.key
        if key.budget_nanos is None:
            return
        try:
            state = self._limiter.budget_state(key) if self._books_open() else None
        except CounterUnknown:
            state = None
        if state is None:
            raise unverifiable()
        priced = tuple(target for target in exchange.targets if target.price is not None)
        if not priced:
            raise unpriced(model)
        exchange.targets = priced
        each = route.max_output_tokens
        if each is None:
            each = 0
            if route.wants_output_cap and not all(
                target.price and target.price.is_free() for target in priced
            ):
                each = min(
                    bound_output_tokens(route, model, target, state.remaining_nanos) for target in priced
                )
                exchange.output_cap = each
        bounds = [bound_request(route, model, target, each) for target in priced]
        exchange.bound = max(bounds, key=lambda bound: bound.nanos)
        if exchange.bound.nanos:
            rule = budget_rule(key)
            assert rule is not None
            exchange.claims.append(Claim(key.id, Meter.NANOS, rule, exchange.bound.nanos))
