"""What each process of the product does at its start: its event loop, its log, and its bond with its parent."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

_PR_SET_PDEATHSIG = 1  # prctl(2)


def run_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function on uvloop where it exists."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def start_logging() -> None:
    """One line a message on stderr. aiohttp's own server log could echo what clients send, so it stays silent."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("aiohttp", "asyncio", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "aiohttp" else logging.WARNING)


def become_helper() -> None:
    """Be a helper process: of low priority, ended by its parent and by nothing else that is sent to both.

    It keeps a tenth of a busy core, not less: it takes turns with its parent at the store's lock.

    Linux kills it when the parent dies; elsewhere, and as well, the caller watches an inherited socket.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(10)
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError):  # forbidden in some containers
            os.sched_setscheduler(
                0, os.SCHED_BATCH, os.sched_param(0)
            )  # waking up never interrupts the parent

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
