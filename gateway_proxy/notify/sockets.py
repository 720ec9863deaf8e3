"""Sockets for addresses that are about to be connected to: any, or public ones only.

Looked at is the address that the name led to, at the moment of connecting: a name cannot lead elsewhere afterwards.
"""

import errno
import socket
from typing import Any

from gateway_proxy.core.addresses import is_public


def make_any_socket(address: Any) -> socket.socket:
    """aiohttp's `socket_factory` for every address."""
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)


def make_public_socket(address: Any) -> socket.socket:
    """The same for public addresses. Raises OSError(EACCES) for others."""
    if not is_public(address[4][0]):
        raise OSError(errno.EACCES, "not a public address")
    return make_any_socket(address)


def is_refused(error: BaseException) -> bool:
    """Whether a connection failed because its address is not public."""
    cause = getattr(error, "os_error", error)
    return isinstance(cause, OSError) and cause.errno == errno.EACCES
