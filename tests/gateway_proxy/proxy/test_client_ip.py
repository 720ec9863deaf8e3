"""The client's address cannot be written by the client."""

import ipaddress

import pytest
from multidict import CIMultiDict

from gateway_proxy.proxy.client_ip import ClientIp, parse_hop, parse_ip

PROXIES = ClientIp([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8:1::/48")])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:1", "192.0.2.1"),
    ],
)
def test_hops(text: str, address: str) -> None:
    assert parse_hop(text) == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "text",
    ["", " ", "unknown", "_hidden", "192.0.2", "192.0.2.01", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:65536", "192.0.2.1:٣", "[192.0.2.1]",
     "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]443", "[2001:db8::1]:", "fe80::1%eth0", "[fe80::1%25eth0]:1", "0x7f000001", "2130706433",
     "１92.0.2.1", "192.0.2.1 192.0.2.2", "for=192.0.2.1", '"192.0.2.1"', "http://192.0.2.1", "1" * 16_000],
)  # fmt: skip
def test_hops_that_prove_nothing(text: str) -> None:
    assert parse_hop(text) is None


def test_what_is_remembered_is_small() -> None:
    parse_ip.cache_clear()
    parse_hop("9" * 100)
    assert parse_ip.cache_info().currsize == 0


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),  # not our proxy: what it says is hearsay
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.2.3.4"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, [2001:db8:1::7]:80"], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["::ffff:10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["garbage, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, garbage"], None),
        ("10.0.0.1", ["203.0.113.9, garbage, 10.0.0.2"], None),
        ("10.0.0.1", [""], None),
        ("10.0.0.1", ["203.0.113.9", ""], None),
        ("10.0.0.1", ["203.0.113.9,"], None),
        ("fe80::1%eth0", ["203.0.113.9"], None),
        (None, ["203.0.113.9"], None),
    ],
)
def test_the_right_most_untrusted_hop_decides(
    peer: str | None, lines: list[str], address: str | None
) -> None:
    headers = CIMultiDict(("X-Forwarded-For", line) for line in lines)
    assert PROXIES.find(peer, headers) == (None if address is None else ipaddress.ip_address(address))


def test_without_proxies_nothing_is_believed() -> None:
    assert ClientIp([]).find(
        "127.0.0.1", CIMultiDict({"X-Forwarded-For": "203.0.113.9"})
    ) == ipaddress.ip_address("127.0.0.1")


def test_only_the_proxies_themselves_are_trusted() -> None:
    assert PROXIES.trusts("10.1.2.3") and PROXIES.trusts("::ffff:10.1.2.3")
    assert not PROXIES.trusts("11.1.2.3") and not PROXIES.trusts(None) and not PROXIES.trusts("nonsense")
    assert not ClientIp(()).trusts("127.0.0.1")
