"""What each process of the product does at its start: its event loop, its log, and its bond with its parent."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from gateway_proxy.app.interrupts import LoopFactory, run_to_interrupt

PRIORITY = "GATEWAY_PROXY_ADMIN_PRIORITY"
# https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_PR_SET_PDEATHSIG = 1  # prctl(2)
# mallopt(3): how much may lie free at the heap's end before it is given back to the system, how much is asked for at a
# time, and from which size on a piece is mapped by itself.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES, _PAD_BYTES, _MAPPED_FROM_BYTES = 16 << 20, 1 << 20, 16 << 20
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
"""What may be sent to a whole group of processes and is for their parent alone."""


def run_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function on uvloop where it exists. Raises KeyboardInterrupt after an interrupt."""
    _keep_descriptors()
    factory: LoopFactory = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    run_to_interrupt(main(), factory)


def _keep_descriptors() -> None:
    """uvloop hands on to children whatever was handed on to us: a worker's listening sockets, say, to the commands of MCP servers."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/dev/fd"):
            with contextlib.suppress(OSError):  # that of the folder itself is closed by now
                if int(name) > 2:
                    os.set_inheritable(int(name), False)


def start_logging() -> None:
    """One line a message on stderr. aiohttp's own server log could echo what clients send, so it stays silent."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("aiohttp", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "aiohttp" else logging.WARNING)


def keep_freed_memory() -> None:
    """Have the allocator keep what bodies leave behind (glibc).

    By default it gives back all above 128 KiB at the heap's end, and maps what is larger by itself, which orjson's buffer is
    for a body from 16 KiB on (eight times the longest string): each such body would fault its pages in anew.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
            mallopt(_M_TOP_PAD, _PAD_BYTES)
            mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)


def ignore_signals() -> None:
    """Signals that are sent to a whole group are for the parent, who tells us what follows from them.

    Until now they were blocked, if `helper_process` has started us.
    """
    for number in HELD_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)


def become_helper() -> None:
    """Be a helper process: of low priority, ended by its parent and by nothing else that is sent to both.

    Linux kills it when the parent dies; elsewhere, and as well, the caller watches an inherited socket.
    """
    ignore_signals()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.setpgid(0, 0)  # a terminal's signals are for the parent, who ends us when the time has come
    with contextlib.suppress(OSError):
        os.nice(10)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def count_cores(quota: Path = _QUOTA) -> float:
    """Cores that this process may use: those that it may run on, or fewer where its container has a quota."""
    cores = float(len(os.sched_getaffinity(0))) if sys.platform == "linux" else float(os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
        microseconds, period = quota.read_text().split()
        cores = min(cores, int(microseconds) / int(period))
    return cores


def give_way(busy_processes: int) -> None:
    """Compute only while a core is idle, if that many processes, each busy on one core, leave one.

    The parent never waits then for a turn of ours. Where others could keep all cores busy, a low priority must do, of
    which a tenth of a core remains: `GATEWAY_PROXY_ADMIN_PRIORITY=low` says so. It is for threads begun later too.
    """
    if sys.platform != "linux" or os.environ.get(PRIORITY) == "low":
        return
    if count_cores() > busy_processes:
        with contextlib.suppress(OSError):  # forbidden in some containers
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
