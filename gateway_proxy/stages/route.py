"""Body → route and model: the dialect parses it once, the catalogue resolves the name."""

from collections.abc import Callable
from typing import ClassVar

from gateway_proxy.core.catalog import ModelEntry
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.errors import ModelUnknown
from gateway_proxy.core.exchange import Exchange


def unknown_model(name: str) -> ModelUnknown:
    """The answer for a model that does not exist here."""
    return ModelUnknown(
        f"The model '{name}' does not exist on this gateway.",
        param="model",
        gateway={"reason": "unknown_model"},
    )


class Route:
    name: ClassVar[str] = "route"
    needs_body: ClassVar[bool] = True

    def __init__(self, dialect: Dialect, resolve: Callable[[str], ModelEntry | None]) -> None:
        self._dialect = dialect
        self._resolve = resolve

    def check(self, exchange: Exchange) -> None:
        route = self._dialect.identify(
            exchange.operation, exchange.path, exchange.body, exchange.content_type
        )
        exchange.body = b""  # the parsed value is the only copy that may leave
        exchange.route = route
        model = self._resolve(route.model)
        if model is None:
            raise unknown_model(route.model)
        exchange.model = model
        exchange.targets = model.targets
