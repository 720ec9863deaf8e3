"""Endpoint, model and provider must be in the key's scope. A target whose provider is not allowed is skipped."""

from typing import ClassVar

from gateway_proxy.core.errors import BadExchange, Forbidden, ModelForbidden
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.stages.route import unknown_model


class Allow:
    name: ClassVar[str] = "allow"
    needs_body: ClassVar[bool] = True

    def __init__(self, *, hide_forbidden_models: bool = False) -> None:
        self._hide = hide_forbidden_models

    def check(self, exchange: Exchange) -> None:
        policy, route, model = exchange.policy, exchange.route, exchange.model
        assert policy is not None and route is not None and model is not None
        if not policy.allows_endpoint(route.operation):
            raise Forbidden("This API key may not use this endpoint.", code="endpoint_not_allowed")
        if not policy.allows_model(model.name):
            if self._hide:
                raise unknown_model(model.name)
            raise ModelForbidden(
                f"This API key does not have access to the model '{model.name}'.",
                param="model",
                gateway={"reason": "model_not_allowed"},
            )
        if not exchange.targets:
            raise BadExchange(
                f"The model '{model.name}' is not served in this API's format: none of its providers speaks it, and the "
                "gateway does not translate. Use the API of its provider, or another model.",
                code="dialect_not_served",
                param="model",
                gateway={"reason": "dialect_not_served", "dialect": exchange.dialect},
            )
        if policy.providers is not None:
            exchange.targets = tuple(t for t in exchange.targets if t.provider in policy.providers)
            if not exchange.targets:
                raise Forbidden(
                    "This API key may not use a provider that serves this model.", code="provider_not_allowed"
                )
