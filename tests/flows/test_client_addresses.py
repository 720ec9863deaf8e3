"""A key that is bound to networks cannot be used from elsewhere by anything that a client writes."""

from collections.abc import Callable

import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.money import model_toml
from tests.support.raw import make_request, send

HOME = ["203.0.113.0/24", "2001:db8::/32"]
CASES = {
    ("203.0.113.7",): True,
    ("203.0.113.7:4711",): True,
    ("[2001:db8::1]:443",): True,
    ("::ffff:203.0.113.7",): True,
    ("198.51.100.1, 203.0.113.7",): True,
    ("garbage, 203.0.113.7",): True,  # what stands left of the deciding hop decides nothing
    ("203.0.113.7, 127.0.0.1",): True,
    ("198.51.100.1", "203.0.113.7"): True,
    ("203.0.113.7", "198.51.100.1"): False,
    ("203.0.113.7, 198.51.100.1",): False,
    ("198.51.100.1",): False,
    ("203.0.113.7, garbage",): False,
    ("203.0.113.7,",): False,
    ("",): False,
    ("203.0.113.07",): False,
    ("2001:db8::1%eth0",): False,
    ("203.0.113.7:99999",): False,
    ("unknown",): False,
    ("127.0.0.1",): False,
    (): False,
}


@pytest.fixture(scope="module")
def gateways(
    provider: FakeProvider, run_gateway: Callable[..., RunningGateway]
) -> tuple[RunningGateway, RunningGateway]:
    """One behind a proxy on this machine, one that trusts nobody."""
    tables = provider_toml(provider.base_url) + model_toml()
    trusting = run_gateway(
        tables, server='drain_seconds = 1\ntrusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]'
    )
    return trusting, run_gateway(tables, server="drain_seconds = 1")


def test_only_the_right_most_untrusted_hop_decides(gateways: tuple[RunningGateway, RunningGateway]) -> None:
    trusting, alone = gateways
    keys = {gateway: gateway.create_key(ip_allowlist=HOME) for gateway in gateways}
    for lines, allowed in CASES.items():
        headers = "".join(f"X-Forwarded-For: {line}\r\n" for line in lines).encode()
        answer = send(trusting.port, make_request(keys[trusting].secret, headers=headers))
        assert (answer.status, answer.code) == ((200, "") if allowed else (403, "ip_not_allowed")), lines
        assert send(alone.port, make_request(keys[alone].secret, headers=headers)).code == "ip_not_allowed"
    for name in ("Forwarded: for=203.0.113.7", "X-Real-IP: 203.0.113.7", "True-Client-IP: 203.0.113.7"):
        answer = send(trusting.port, make_request(keys[trusting].secret, headers=f"{name}\r\n".encode()))
        assert answer.code == "ip_not_allowed"
