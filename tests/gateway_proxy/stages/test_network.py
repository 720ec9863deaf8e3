"""The client's network: an address that is not proven lies in none."""

import ipaddress

import pytest

from gateway_proxy.core.errors import Forbidden
from gateway_proxy.stages.network import Network
from tests.support.exchanges import make_exchange, make_policy


@pytest.mark.parametrize(
    ("address", "allowed"), [("192.0.2.1", True), ("192.0.3.1", False), ("2001:db8::1", False), (None, False)]
)
def test_networks(address: str | None, allowed: bool) -> None:
    client_ip = None if address is None else ipaddress.ip_address(address)
    exchange = make_exchange(make_policy(ip_allowlist=("192.0.2.0/24",)), client_ip=client_ip)
    if allowed:
        Network().check(exchange)
        return
    with pytest.raises(Forbidden) as refused:
        Network().check(exchange)
    assert refused.value.code == "ip_not_allowed"
    assert address is None or address not in refused.value.public
