"""The proxy that makes the faults: each of them, seen from a client."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.rig.fault_proxy import FaultProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(("127.0.0.1", echo)) as proxy:
        yield proxy


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def ask(client: socket.socket, text: bytes, timeout_seconds: float = 5.0) -> bytes:
    client.settimeout(timeout_seconds)
    client.sendall(text)
    answer = b""
    while len(answer) < len(text) and (piece := client.recv(65_536)):
        answer += piece
    return answer


def test_what_is_late_or_slow_arrives_whole(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        proxy.delay(0.03)
        begun = time.monotonic()
        assert ask(client, b"late") == b"late" and time.monotonic() - begun >= 0.06
        proxy.heal()
        proxy.drip(2000)
        begun = time.monotonic()
        assert ask(client, b"x" * 200) == b"x" * 200 and time.monotonic() - begun >= 0.05


def test_a_black_hole_gives_back_what_it_took(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        proxy.blackhole()
        with pytest.raises(TimeoutError):
            ask(client, b"held", 0.05)
        with connect(proxy) as late, pytest.raises(TimeoutError):
            ask(late, b"new", 0.05)
        proxy.heal()
        client.settimeout(5)
        assert client.recv(10) == b"held"


def test_a_reset_breaks_what_is_open(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.reset(refuse=True)
        with pytest.raises(ConnectionError):
            ask(client, b"b")
    with pytest.raises(ConnectionError), connect(proxy) as client:
        assert ask(client, b"c") == b"c"
    proxy.heal()
    with connect(proxy) as client:
        assert ask(client, b"d") == b"d"


def test_a_forgotten_connection_is_silent_for_good(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.forget()
        with pytest.raises(TimeoutError):
            ask(client, b"b", 0.05)
        with connect(proxy) as other:
            assert ask(other, b"c") == b"c"
        proxy.heal()
        with pytest.raises(TimeoutError):
            ask(client, b"d", 0.05)
