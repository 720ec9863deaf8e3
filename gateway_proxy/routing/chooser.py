"""The targets of an exchange in the order in which they are tried, by everything that is known of them.

Promises that models without a plan of their own cost no more than their weights.
"""

from functools import partial
from random import Random
from typing import Any

from gateway_proxy.core.catalog import Plan, Target
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.routing.latencies import Latencies
from gateway_proxy.routing.order import Draw, draw_by_hash, draw_by_latency, draw_by_weight, order_targets
from gateway_proxy.routing.retry_budget import RetryBudgets

KEY = "key"


class Chooser:
    """One per gateway; it outlives the settings."""

    def __init__(
        self, breakers: Breakers, retry_budgets: RetryBudgets, latencies: Latencies, random: Random
    ) -> None:
        self._breakers = breakers
        self.retry_budgets = retry_budgets
        self.latencies = latencies
        self._random = random
        self._draw: Draw = partial(draw_by_weight, random=random)

    def order(self, exchange: Exchange) -> list[Target]:
        """Those that may be tried, the first one first. Breakers hold back what rests, if anything is left then."""
        targets = exchange.targets
        if len(targets) == 1:
            self.retry_budgets.earn(targets[0].provider)
            return list(targets)
        model = exchange.model
        plan = None if model is None else model.plan
        draw = self._draw if plan is None else self._plan_draw(plan, exchange)
        ordered = list(order_targets(targets, self._is_open, draw))
        if ordered:
            first = ordered[0]
            self._breakers.begin((first.provider, first.model))
            self.retry_budgets.earn(first.provider)
        return ordered

    def report(self, target: Target, is_fault: bool) -> None:
        """An attempt was answered, or was not."""
        circuit = (target.provider, target.model)
        if is_fault:
            self._breakers.fail(circuit)
        else:
            self._breakers.succeed(circuit)

    def _is_open(self, target: Target) -> bool:
        return self._breakers.is_open((target.provider, target.model))

    def _plan_draw(self, plan: Plan, exchange: Exchange) -> Draw:
        value = find_sticky(plan.sticky, exchange) if plan.sticky else None
        if value is not None:
            return partial(draw_by_hash, value=value)
        if not plan.by_latency:
            return self._draw
        streaming = exchange.route is not None and exchange.route.stream

        def latency_of(target: Target) -> float | None:
            return self.latencies.mean_seconds(target, streaming)

        return partial(draw_by_latency, random=self._random, latency_of=latency_of)


def find_sticky(names: tuple[str, ...], exchange: Exchange) -> str | None:
    """What the request is kept together by; None if it has nothing of the kind. A token counts as its parent."""
    route, policy = exchange.route, exchange.policy
    for name in names:
        if name == KEY:
            if policy is not None:
                return f"{KEY}\0{policy.key.parent_id or policy.key.id}"
            continue
        value: Any = None if route is None else route.body
        for part in name.split("."):
            value = value.get(part) if type(value) is dict else None
        if type(value) is int or (type(value) is str and value):
            return f"{name}\0{value}"
    return None
