"""Signals for everybody do not end a helper that has not yet come to ignore them, and are ours again afterwards."""

import os
import signal
import socket
import sys

from gateway_proxy.app.helper_process import HelperProcess
from gateway_proxy.app.process import HELD_SIGNALS

WAITS = "import os, sys; os.read(int(sys.argv[1]), 1); sys.exit(7)"
IGNORES = """
import os, signal, sys
from gateway_proxy.app.process import ignore_signals
os.read(int(sys.argv[1]), 1)
assert signal.sigpending() == {signal.SIGTERM}
ignore_signals()
assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) and not signal.sigpending()
"""


def start(code: str) -> tuple[HelperProcess, socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        command = (sys.executable, "-c", code, str(number))
        return HelperProcess(command, pass_fds=(number,), environment=os.environ), ours


async def test_from_its_first_instant_no_signal_for_everybody_ends_it() -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    helper, line = start(WAITS)
    with line:
        for number in HELD_SIGNALS:
            os.kill(helper.pid, number)
        line.send(b"!")
        assert await helper.wait() == await helper.wait() == 7
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask


async def test_what_waited_is_forgotten_and_nothing_stays_blocked() -> None:
    helper, line = start(IGNORES)
    with line:
        os.kill(helper.pid, signal.SIGTERM)
        line.send(b"!")
        assert await helper.wait() == 0


async def test_it_can_be_killed_also_when_it_has_ended() -> None:
    helper, line = start(WAITS)
    with line:
        helper.kill()
        assert await helper.wait() == -signal.SIGKILL
        helper.kill()
