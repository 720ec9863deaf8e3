"""Which targets serve a name, and in which order they are tried."""

from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.routing.catalog import Catalog, build_catalog
from gateway_proxy.routing.order import order_targets
from gateway_proxy.routing.retry_budget import RetryBudgets

__all__ = ["Breakers", "Catalog", "RetryBudgets", "build_catalog", "order_targets"]
