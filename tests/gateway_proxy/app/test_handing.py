"""Connections through a door."""

import socket

import pytest

from gateway_proxy.app.handing import hand_over, take_handed


def test_a_connection_goes_over_and_works_there() -> None:
    ours, theirs = socket.socketpair()
    near, far = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs, near, far:
        assert take_handed(theirs) == []
        hand_over(ours, far)
        [taken] = take_handed(theirs) or []
        with taken:
            taken.sendall(b"hello")
            assert near.recv(10) == b"hello" and not taken.get_inheritable()


def test_each_side_learns_that_the_other_is_gone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.close()
        assert take_handed(theirs) is None
        with pytest.raises(OSError):
            hand_over(theirs, theirs)
