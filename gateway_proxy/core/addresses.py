"""Which addresses the gateway goes to unasked: public ones, so that no setting turns it against its own network."""

import ipaddress

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Ranges that Python 3.11 still takes for global, or that lead to an IPv4 address nobody looked at.
_NOT_PUBLIC = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("3fff::/20"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether the IP address is one of the public internet (IANA special-purpose registries; RFC 6890)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or any(address in network for network in _NOT_PUBLIC)
    ):
        return False
    return address.is_global and not address.is_multicast
