"""Listening sockets that whoever started us has bound already: sd_listen_fds(3).

They outlive this process: what connects between two of them waits in the kernel's queue, and nobody is refused.
"""

import os
import socket
from collections.abc import MutableMapping

_FIRST = 3  # SD_LISTEN_FDS_START
ADMIN = "admin"  # FileDescriptorName= of sockets for `admin_listen`; all others are for `listen`


def take_inherited(environment: MutableMapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """The sockets by what they are for, `listen` and `admin`. Taken once: they are not handed on to children.

    Raises ValueError for something that is no listening TCP socket.
    """
    meant, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {"listen": [], ADMIN: []}
    if meant != str(os.getpid()) or not count.isdecimal():
        return found
    for index in range(int(count)):
        name = names[index] if index < len(names) else ""
        found[ADMIN if name == ADMIN else "listen"].append(_adopt(_FIRST + index, name))
    return found


def _adopt(number: int, name: str) -> socket.socket:
    try:
        taken = socket.socket(fileno=number)
        fits = (
            taken.family in (socket.AF_INET, socket.AF_INET6)
            and taken.type == socket.SOCK_STREAM
            and taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        )
    except OSError:
        fits = False
    if not fits:
        raise ValueError(
            f"the inherited socket {number} ({name or 'no name'}) does not listen on TCP; check the socket unit"
        )
    taken.set_inheritable(False)
    taken.setblocking(False)
    return taken
