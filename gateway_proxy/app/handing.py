"""Connections that one process hands over to another: descriptors through a *door*, which is one of a pair of sockets.

Source: unix(7), SCM_RIGHTS.
"""

import os
import socket

_AT_ONCE = 16


def hand_over(door: socket.socket, connection: socket.socket) -> None:
    """The connection stays open here too. Raises OSError where the other side is gone, or takes no more."""
    socket.send_fds(door, [b"."], [connection.fileno()])


def take_handed(door: socket.socket) -> list[socket.socket] | None:
    """The connections that were handed over; None once the other side has closed the door."""
    try:
        data, numbers, _, _ = socket.recv_fds(door, _AT_ONCE, _AT_ONCE)
    except BlockingIOError:
        return []
    except OSError:
        return None
    for number in numbers:
        os.set_inheritable(number, False)  # recv_fds does not pass MSG_CMSG_CLOEXEC on
    return [socket.socket(fileno=number) for number in numbers] if data else None
