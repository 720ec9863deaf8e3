"""Sockets bound to an address of the settings, as one process would have them: one for each family that its host has."""

import socket
from contextlib import ExitStack


def bind(host: str, port: int) -> list[socket.socket]:
    """Nobody listens yet. Raises OSError, and then nothing stays bound."""
    with ExitStack() as bound:
        found = []
        for family, kind, protocol, _, address in dict.fromkeys(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            taken = bound.enter_context(socket.socket(family, kind, protocol))
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken.bind(address)
            found.append(taken)
        bound.pop_all()
    return found


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets that do not block. Raises OSError."""
    found = bind(host, port)
    for taken in found:
        taken.listen(1024)
        taken.setblocking(False)
    return found
