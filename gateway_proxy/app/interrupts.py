"""Runs a coroutine to its end or to an interrupt (SIGINT), which cancels it at whatever moment it comes.

Nothing is raised before the loop is closed. asyncio's own runner lets KeyboardInterrupt arise wherever the interpreter
is while the loop is made or closed, and what is torn there is complained about on stderr.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from typing import Any, TypeVar

INTERRUPTED = 130
"""The exit code: 128 and the signal's number, as shells have it."""

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run_to_interrupt(work: Coroutine[Any, Any, T], loop_factory: LoopFactory | None = None) -> T:
    """Raises KeyboardInterrupt after an interrupt, once all is closed. A second one ends the process at once.

    Where interrupts are ignored, or another thread gets them, this is asyncio's runner.
    """
    before = signal.getsignal(signal.SIGINT)
    with closing(work):  # an interrupt may come before it has begun
        if before in (signal.SIG_IGN, None) or threading.current_thread() is not threading.main_thread():
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                return runner.run(work)
        interrupts = _Interrupts()
        signal.signal(signal.SIGINT, interrupts.note)
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                return runner.run(interrupts.heed(work))
        finally:
            signal.signal(signal.SIGINT, before)
            if interrupts.came:
                raise KeyboardInterrupt


class _Interrupts:
    """The interrupts of one run."""

    def __init__(self) -> None:
        self.came = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def note(self, *_: object) -> None:
        """The signal's handler. It may be anywhere in the loop's own code, so that the loop is only told to cancel."""
        if self.came:
            os._exit(INTERRUPTED)
        self.came = True
        if self._task is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def heed(self, work: Coroutine[Any, Any, T]) -> T:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self.came:
            raise asyncio.CancelledError
        return await work
