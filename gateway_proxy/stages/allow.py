"""Endpoint, model and provider must be in the key's scope. A target whose provider is not allowed is skipped."""

from typing import ClassVar

from gateway_proxy.core.errors import BadExchange, Forbidden, GatewayError, ModelForbidden
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.stages.route import unknown_model


class Allow:
    name: ClassVar[str] = "allow"
    rules: ClassVar[tuple[str, ...]] = ("endpoint", "model", "provider")
    needs_body: ClassVar[bool] = True

    def __init__(self, *, hide_forbidden_models: bool = False) -> None:
        self._hide = hide_forbidden_models

    def check(self, exchange: Exchange) -> None:
        policy, route, model = exchange.policy, exchange.route, exchange.model
        assert policy is not None and route is not None and model is not None
        if policy.endpoints is not None and route.operation not in policy.endpoints:
            exchange.refuse(
                "endpoint",
                Forbidden("This API key may not use this endpoint.", code="endpoint_not_allowed"),
            )
        if not policy.allows_model(model.name):
            exchange.refuse("model", self._forbid(model.name))
        targets, providers = exchange.targets, policy.providers
        if not targets:
            exchange.refuse("provider", _unserved(policy, exchange))
        elif providers is not None:
            if len(targets) > 1 or targets[0].provider not in providers:
                exchange.targets = targets = tuple(t for t in targets if t.provider in providers)
            if not targets:
                exchange.refuse(
                    "provider",
                    Forbidden(
                        "This API key may not use a provider that serves this model.",
                        code="provider_not_allowed",
                    ),
                )

    def _forbid(self, model: str) -> GatewayError:
        if self._hide:
            return unknown_model(model)
        return ModelForbidden(
            f"This API key does not have access to the model '{model}'.",
            param="model",
            gateway={"reason": "model_not_allowed"},
        )


def _unserved(policy: KeyPolicy, exchange: Exchange) -> GatewayError:
    for provider, obstacle in exchange.obstacles.items():
        if policy.allows_provider(provider):
            return obstacle
    assert exchange.model is not None
    return BadExchange(
        f"The model '{exchange.model.name}' is not served in this API's format: none of its providers speaks it, and it is not "
        "translated. Use the API of its provider, or another model.",
        code="dialect_not_served",
        param="model",
        gateway={"reason": "dialect_not_served", "dialect": exchange.dialect},
    )
