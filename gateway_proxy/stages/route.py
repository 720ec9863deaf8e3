"""Body → route and model: the client's dialect parses it once, the catalogue resolves the name.

Of the model's targets those stay whose provider can be sent what this dialect parsed, or a translation of it. None may be left:
`allow` says so, once the key's scope says that the client may know.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from gateway_proxy.core.catalog import ModelEntry
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.errors import ModelUnknown
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.route import Route as RequestRoute
from gateway_proxy.stages.kept import Keeper
from gateway_proxy.stages.translate import Foreign, translate_targets


def unknown_model(name: str) -> ModelUnknown:
    """The answer for a model that does not exist here."""
    return ModelUnknown(
        f"The model '{name}' does not exist on this gateway.",
        param="model",
        gateway={"reason": "unknown_model"},
    )


class Route:
    name: ClassVar[str] = "route"
    rules: ClassVar[tuple[str, ...]] = ("route",)
    needs_body: ClassVar[bool] = True

    def __init__(
        self,
        dialects: Mapping[str, Dialect],
        resolve: Callable[[str], ModelEntry | None],
        foreign: Mapping[str, Foreign],
        keeper: Keeper,
    ) -> None:
        """`foreign`: per client dialect, the providers that do not speak it."""
        self._dialects = dialects
        self._resolve = resolve
        self._foreign = foreign
        self._keeper = keeper

    def check(self, exchange: Exchange) -> None:
        dialect = exchange.dialect
        route = exchange.route
        if route is None:  # else the store has been asked in the meantime
            route = self._dialects[dialect].identify(
                exchange.operation, exchange.path, exchange.body, exchange.content_type
            )
            exchange.body = b""  # the parsed value is the only copy that may leave
            exchange.route = route
        kept = route.kept
        model = self._resolve(route.model) if kept is None else self._find_model(exchange, route)
        if model is None:
            raise unknown_model(route.model)
        exchange.model = model
        exchange.targets = model.targets
        foreign = self._foreign[dialect]
        if foreign:
            for target in model.targets:
                if target.provider in foreign:
                    translate_targets(exchange, foreign)
                    break
        if kept is not None:
            self._keeper.narrow(exchange, kept)

    def _find_model(self, exchange: Exchange, route: RequestRoute) -> ModelEntry | None:
        kept = route.kept
        if route.model or kept is None:
            return self._resolve(route.model)
        model = self._keeper.model_of(exchange, kept)
        route.model = model.name
        return model
