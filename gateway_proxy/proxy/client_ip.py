"""The client's address: the socket's peer, or the right-most untrusted hop that trusted proxies forwarded.

Fails closed: an X-Forwarded-For entry that cannot be parsed proves nothing, so the address is unknown.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from multidict import MultiMapping

from gateway_proxy.core.key import IpAddress, IpNetwork

MAX_HOP_CHARACTERS = 64  # no address is longer, and what is remembered must stay small


class _Remembered:
    """As the address that it is made of, but what every request asks for is computed once."""

    def __init__(self, address: IpAddress) -> None:
        super().__init__(int(address))  # type: ignore[call-arg]
        self._hash, self._text = hash(address), str(address)

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


class _IPv4(_Remembered, ipaddress.IPv4Address):
    pass


class _IPv6(_Remembered, ipaddress.IPv6Address):
    pass


@lru_cache(maxsize=4096)
def parse_ip(text: str) -> IpAddress | None:
    """An address; IPv4-mapped IPv6 counts as IPv4. None for anything else, scoped addresses included."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return _IPv4(address)
    if address.scope_id is not None:
        return None
    mapped = address.ipv4_mapped
    return _IPv6(address) if mapped is None else _IPv4(mapped)


def parse_hop(text: str) -> IpAddress | None:
    """One X-Forwarded-For entry: an address, optionally with brackets and a port (RFC 7239 section 6 forms)."""
    text = text.strip(" \t")
    if len(text) > MAX_HOP_CHARACTERS:
        return None
    if text.startswith("["):
        inner, closed, rest = text[1:].partition("]")
        if not closed or (rest and not _is_port(rest)) or ":" not in inner:
            return None
        return parse_ip(inner)
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return parse_ip(host) if _is_port(":" + port) else None
    return parse_ip(text)


def _is_port(text: str) -> bool:
    digits = text[1:]
    return (
        text[0] == ":" and digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= 65535
    )


class ClientIp:
    """Finds the client's address behind the configured proxies."""

    def __init__(self, trusted_proxies: Sequence[IpNetwork]) -> None:
        self._trusted = tuple(trusted_proxies)

    def find(self, peer: str | None, headers: "MultiMapping[str]") -> IpAddress | None:
        """`peer` is the socket's remote address; X-Forwarded-For is read only where the peer is trusted."""
        address = None if peer is None else parse_ip(peer)
        if not self._trusted or address is None or not self._is_trusted(address):
            return address
        forwarded_for = headers.getall("X-Forwarded-For", ())
        if not forwarded_for:
            return address
        hops = [hop for line in forwarded_for for hop in line.split(",")]
        for hop in reversed(hops):
            address = parse_hop(hop)
            if address is None or not self._is_trusted(address):
                return address
        return address

    def trusts(self, peer: str | None) -> bool:
        """Whether the socket's peer is one of the proxies, whose forwarding headers are believed."""
        address = None if peer is None else parse_ip(peer)
        return address is not None and self._is_trusted(address)

    def _is_trusted(self, address: IpAddress) -> bool:
        return any(address in network for network in self._trusted)
