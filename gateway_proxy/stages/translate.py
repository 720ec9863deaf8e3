"""The request in the words of those targets whose providers speak another dialect than the client.

A target that cannot be told drops out, and why stays with the exchange, for `allow` to say. Both sizes bound the input: the
client's body and the translated one. No stage of its own: `route` calls it, and only where a provider is foreign to the client.
"""

from collections.abc import Mapping

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.route import Route
from gateway_proxy.core.translation import Translator

Foreign = Mapping[str, Translator | None]
"""Providers that do not speak a client's dialect, each with its translator; None: there is none."""


def translate_targets(exchange: Exchange, foreign: Foreign) -> None:
    """Leaves the targets that can be told, with what they will be told in `exchange.translated`."""
    able: list[Target] = []
    for target in exchange.targets:
        if target.provider not in foreign or _translate(exchange, target, foreign[target.provider]):
            able.append(target)
    exchange.targets = tuple(able)


def _translate(exchange: Exchange, target: Target, translator: Translator | None) -> bool:
    route = exchange.route
    if translator is None or route is None:
        return False
    try:
        translated = translator.translate(exchange, target)
    except BadExchange as error:
        exchange.obstacles = {**exchange.obstacles, target.provider: error}
        return False
    if exchange.translated is None:
        exchange.translated = {}
    exchange.translated[target.provider, target.model] = translated
    _cover(route, translated.route)
    return True


def _cover(route: Route, written: Route) -> None:
    """What is proven about the input must hold for the translated body as well."""
    bound, other = route.bound, written.bound
    bound.tokens = max(bound.tokens, other.tokens)
    bound.opaque = bound.opaque or other.opaque
    bound.unbounded = bound.unbounded or other.unbounded
