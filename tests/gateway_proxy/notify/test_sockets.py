"""Sockets are handed out for public addresses only, unless any will do."""

import errno
import socket

import pytest

from gateway_proxy.notify.sockets import is_refused, make_any_socket, make_public_socket

PRIVATE = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
PUBLIC = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))


def test_a_private_address_gets_none() -> None:
    with pytest.raises(OSError) as caught:
        make_public_socket(PRIVATE)
    assert caught.value.errno == errno.EACCES and is_refused(caught.value)
    assert not is_refused(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))


def test_others_get_one() -> None:
    make_public_socket(PUBLIC).close()
    make_any_socket(PRIVATE).close()
