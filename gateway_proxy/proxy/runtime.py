"""What one configuration revision means for the data plane; immutable, swapped as a whole by a reload.

An exchange keeps the runtime that it began with.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.pipeline import Pipeline
from gateway_proxy.plugins.load import NO_PLUGINS, Plugins
from gateway_proxy.proxy.client_ip import ClientIp
from gateway_proxy.proxy.links import ProviderLink
from gateway_proxy.routing.catalog import Catalog
from gateway_proxy.routing.slots import TargetSlots


@dataclass(frozen=True, slots=True)
class Runtime:
    revision: int
    digest: str
    pipeline: Pipeline
    catalog: Catalog
    dialects: dict[str, Dialect]  # by the name of the client's
    links: dict[str, ProviderLink]
    client_ip: ClientIp
    max_body_bytes: int
    order: Callable[[Exchange], list[Target]]  # drops what a breaker holds back
    may_retry: Callable[[str], bool]  # the provider's retry budget
    report: Callable[[Target, bool], None]  # tells the breaker: was this attempt a fault?
    observe: Callable[
        [Target, bool, float], None
    ]  # seconds until a (streamed) answer began, where that decides
    slots: TargetSlots | None = None  # None: no target is bounded
    price_change_at: int | None = None  # Unix milliseconds; from then on the price table says something else
    cors_origins: frozenset[str] = field(default=frozenset())
    plugins: Plugins = NO_PLUGINS
