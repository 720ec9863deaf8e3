"""Sockets that are bound before the process starts, as systemd hands them over."""

import os
import socket
import subprocess
import sys

from gateway_proxy.app.inherited import take_inherited

_CHILD = """
import os, socket, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from gateway_proxy.app.inherited import take_inherited
try:
    found = take_inherited()
except ValueError as error:
    print(error)
else:
    print({name: [s.getsockname()[1] for s in sockets] for name, sockets in found.items()})
    assert not any(s.get_inheritable() or s.getblocking() for sockets in found.values() for s in sockets)
    assert not any(name.startswith("LISTEN_") for name in os.environ)
"""


def run_with(sockets: list[socket.socket], names: str) -> str:
    """What the child finds: it has the sockets from number 3 on."""
    moved = [os.dup(s.fileno()) for s in sockets]
    high = [os.dup2(number, 60 + index) for index, number in enumerate(moved)]
    places = "; ".join(f"exec {3 + index}<&{number}" for index, number in enumerate(high))
    done = subprocess.run(
        ["bash", "-c", f'{places}; exec "$0" -c "$1"', sys.executable, _CHILD],
        pass_fds=high, capture_output=True, text=True, check=False,
        env={**os.environ, "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names},
    )  # fmt: skip
    for number in (*moved, *high):
        os.close(number)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_each_socket_is_for_what_its_name_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [s.getsockname()[1] for s in (one, other)]
        assert (
            run_with([one, other], "gateway-proxy.socket:admin")
            == f"{{'listen': [{ports[0]}], 'admin': [{ports[1]}]}}"
        )
        assert run_with([one, other], "") == f"{{'listen': {ports}, 'admin': []}}"


def test_what_does_not_listen_is_refused() -> None:
    with socket.socket() as idle:
        assert "inherited socket 3 (x) does not listen on TCP" in run_with([idle], "x")


def test_none_are_meant_for_this_process() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "2"}
    assert take_inherited(environment) == {"listen": [], "admin": []}
    assert take_inherited({}) == {"listen": [], "admin": []}
