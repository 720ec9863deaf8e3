"""A claim on each budget that pays (a token's and its parent's): the proven bound of the dearest target that may serve the request."""

from collections.abc import Callable
from typing import ClassVar

from gateway_proxy.core.catalog import ModelEntry
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import Counters, CounterUnknown, Meter, make_claim
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.route import Route
from gateway_proxy.stages.admission import unverifiable
from gateway_proxy.stages.bound import bound_output_tokens, bound_request, unpriced

_NANOS = Meter.NANOS


class Budget:
    name: ClassVar[str] = "budget"
    rules: ClassVar[tuple[str, ...]] = ("price",)
    needs_body: ClassVar[bool] = True

    def __init__(self, limiter: Counters, books_open: Callable[[], bool]) -> None:
        """`books_open` says whether intents can be written; without them no budget can be kept."""
        self._limiter = limiter
        self._books_open = books_open

    def check(self, exchange: Exchange) -> None:
        policy, route, model = exchange.policy, exchange.route, exchange.model
        assert policy is not None and route is not None and model is not None
        budgets = policy.budgets
        if not budgets or route.free:
            return
        if not self._books_open():
            raise unverifiable()
        targets = exchange.targets
        if len(targets) != 1 or targets[0].price is None:
            exchange.targets = targets = tuple([target for target in targets if target.price is not None])
            if not targets:
                raise unpriced(model)
        each = route.max_output_tokens
        if each is None:
            each = self._cap_output(exchange, policy, route, model) if route.wants_output_cap else 0
        bound = bound_request(route, model, targets[0], each)
        nanos = bound.nanos
        if len(targets) > 1:
            for target in targets[1:]:
                other = bound_request(route, model, target, each)
                if other.nanos > nanos:
                    bound, nanos = other, other.nanos
        exchange.bound = bound
        if nanos:
            for key, rule in budgets:
                exchange.claims.append(make_claim(key.id, _NANOS, rule, nanos))

    def _cap_output(self, exchange: Exchange, policy: KeyPolicy, route: Route, model: ModelEntry) -> int:
        """The output that a request without a maximum of its own is allowed, at every target alike."""
        if all(target.price is not None and target.price.is_free() for target in exchange.targets):
            return 0
        remaining = min(self._remaining(key) for key, _ in policy.budgets)
        each = min(bound_output_tokens(route, model, target, remaining) for target in exchange.targets)
        exchange.output_cap = each
        return each

    def _remaining(self, key: Key) -> int:
        try:
            state = self._limiter.budget_state(key)
        except CounterUnknown:
            raise unverifiable() from None
        assert state is not None
        return state.remaining_nanos
