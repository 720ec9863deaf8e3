"""Sockets bound to an address."""

import socket

import pytest

from gateway_proxy.app.binding import bind, listen


def test_an_address_is_bound_once() -> None:
    [taken] = listen("127.0.0.1", 0)
    assert isinstance(taken, socket.socket) and taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    with taken, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_who_only_binds_lets_nobody_connect() -> None:
    [taken] = bind("127.0.0.1", 0)
    with taken, pytest.raises(ConnectionRefusedError):
        socket.create_connection(taken.getsockname(), timeout=5)
