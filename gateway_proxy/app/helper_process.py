"""A process of ours beside this one, whom signals for everybody do not reach before it has said what they are to it.

A loop's own way to start processes gives a child all signals from its first instant: a Ctrl-C in the terminal, or a
service manager's SIGTERM to the whole group, would end it amid its imports, with a traceback.
"""

import asyncio
import contextlib
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence

from gateway_proxy.app.process import HELD_SIGNALS


class HelperProcess:
    """Started at once, with `HELD_SIGNALS` blocked until it calls `process.ignore_signals`. Raises OSError when it cannot be."""

    def __init__(
        self, command: Sequence[str], *, pass_fds: Sequence[int], environment: Mapping[str, str]
    ) -> None:
        loop = asyncio.get_running_loop()
        # A child inherits what is blocked, over exec too (sigprocmask(2)); what comes to us meanwhile waits.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=pass_fds, env=environment
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pid = self._process.pid
        self._code: asyncio.Future[int] = loop.create_future()
        threading.Thread(target=self._watch, args=(loop,), name=f"helper {self.pid}", daemon=True).start()

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        return await asyncio.shield(self._code)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        self._process.kill()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(self._code.set_result, code)
