"""The client's address must lie in the key's networks; an address that cannot be proven lies in none."""

from typing import ClassVar

from gateway_proxy.core.errors import Forbidden
from gateway_proxy.core.exchange import Exchange


class Network:
    name: ClassVar[str] = "network"
    rules: ClassVar[tuple[str, ...]] = ("network",)
    needs_body: ClassVar[bool] = False

    def check(self, exchange: Exchange) -> None:
        policy = exchange.policy
        assert policy is not None
        if not policy.allows_ip(exchange.client_ip):
            raise Forbidden(
                "This API key may not be used from your IP address.",
                code="ip_not_allowed",
                detail=f"client {exchange.client_ip}",
            )
