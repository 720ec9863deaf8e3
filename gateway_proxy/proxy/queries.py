"""What the gateway answers from memory: the models that a key can call, and the key's own limits."""

from typing import Any
from urllib.parse import unquote

import orjson

from gateway_proxy.core.catalog import ModelEntry
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.limiter import Counters, Meter
from gateway_proxy.core.money import format_usd
from gateway_proxy.core.policy import BucketRules, KeyPolicy
from gateway_proxy.proxy.answers import Answer, BaseAnswer
from gateway_proxy.proxy.headers import describe_limits, find_tightest_bucket, find_tightest_budget
from gateway_proxy.proxy.model_shapes import describe_model, describe_models
from gateway_proxy.proxy.runtime import Runtime
from gateway_proxy.stages.route import unknown_model


def can_call(policy: KeyPolicy, model: ModelEntry) -> bool:
    """Whether this key could call the model now, limits apart: any endpoint, name, provider, a price under a budget."""
    if not policy.allows_model(model.name) or policy.endpoints == frozenset():
        return False
    targets = [target for target in model.targets if policy.allows_provider(target.provider)]
    if policy.budgets:
        targets = [target for target in targets if target.price is not None]
    return bool(targets)


class Queries:
    """The GET routes below /v1."""

    def __init__(self, limiter: Counters) -> None:
        self._limiter = limiter

    def list_models(self, exchange: Exchange, runtime: Runtime) -> BaseAnswer:
        """`GET /v1/models` in the shape of the client's dialect."""
        policy = exchange.policy
        assert policy is not None
        resolve = runtime.catalog.resolve
        models = [
            model
            for name in runtime.catalog.names()
            if policy.allows_model(name) and (model := resolve(name)) is not None and can_call(policy, model)
        ]
        return self._answer(exchange, describe_models(models, exchange.dialect))

    def show_model(self, exchange: Exchange, runtime: Runtime) -> BaseAnswer:
        """`GET /v1/models/{id}`; a model outside the key's scope is as unknown as one that does not exist."""
        policy = exchange.policy
        assert policy is not None
        name = unquote(exchange.path.partition("/models/")[2])
        model = runtime.catalog.resolve(name)
        if model is None or not can_call(policy, model):
            raise unknown_model(name)
        return self._answer(exchange, describe_model(model, exchange.dialect))

    def show_key(self, exchange: Exchange, runtime: Runtime) -> BaseAnswer:
        """`GET /v1/key`: limits, what is left of them, spend and expiry of the calling key."""
        policy = exchange.policy
        assert policy is not None
        key, limiter = policy.key, self._limiter
        payer, budget = find_tightest_budget(limiter, policy.budgets) if policy.budgets else (key, None)
        described: dict[str, Any] = {
            "object": "key",
            "id": key.id,
            "kind": key.kind,
            "parent_id": key.parent_id,
            "name": key.name,
            "preview": key.preview,
            "status": "active",
            "expires_at": None if key.expires_at is None else format_time(key.expires_at // 1000 * 1000),
            "allowed_providers": key.allowed_providers,
            "allowed_models": key.allowed_models,
            "allowed_endpoints": key.allowed_endpoints,
            "max_parallel_requests": key.max_parallel_requests,
            "limits": {
                "requests_per_minute": self._describe_bucket(Meter.REQUESTS, policy.requests_rules),
                "tokens_per_minute": self._describe_bucket(Meter.TOKENS, policy.tokens_rules),
            },
            "budget": None
            if budget is None
            else {
                "limit_usd": format_usd(budget.limit_nanos),
                "spent_usd": format_usd(budget.spent_nanos),
                "reserved_usd": format_usd(budget.reserved_nanos),
                "remaining_usd": format_usd(budget.remaining_nanos),
                "period": payer.budget_period,
                "timezone": payer.budget_timezone,
                "resets_at": format_time(budget.resets_at),
            },
        }
        return self._answer(exchange, described)

    def _describe_bucket(self, meter: Meter, rules: BucketRules) -> dict[str, int] | None:
        return find_tightest_bucket(self._limiter, meter, rules)._asdict() if rules else None

    def _answer(self, exchange: Exchange, value: Any) -> BaseAnswer:
        lines = f"{exchange.answer_lines}content-type: application/json\r\n"
        return Answer(200, lines + describe_limits(exchange, self._limiter), orjson.dumps(value))
