"""Our own HTTP/1.1 client side towards the providers. The names below are the whole interface."""

from gateway_proxy.proxy.upstream.errors import (
    ConnectFailed,
    PoolExhausted,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
)
from gateway_proxy.proxy.upstream.http_proxy import HttpProxy, proxy_for
from gateway_proxy.proxy.upstream.origin import Origin, Timeouts
from gateway_proxy.proxy.upstream.pool import PoolStats, UpstreamPool
from gateway_proxy.proxy.upstream.response import UpstreamResponse

__all__ = [
    "ConnectFailed",
    "HttpProxy",
    "Origin",
    "PoolExhausted",
    "PoolStats",
    "Timeouts",
    "UpstreamBroken",
    "UpstreamError",
    "UpstreamPool",
    "UpstreamResponse",
    "UpstreamTimeout",
    "proxy_for",
]
