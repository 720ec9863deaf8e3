"""Runs one command for the gateway, within its limits, and ends all of it when the gateway is gone, however it went.

A script of its own, `supervisor.py LIFELINE LIMITS COMMAND…`: it imports nothing of the gateway, so that it starts in a few
milliseconds. LIFELINE is the number of an inherited descriptor whose other end the gateway holds; its end means: end
everything. On Linux processes that left the command's group are found too, since they become this process's children.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time

GRACE_SECONDS = 1.0
KILL_SECONDS = 3.0
_LIMITS = {
    "memory_bytes": resource.RLIMIT_AS,
    "file_bytes": resource.RLIMIT_FSIZE,
    "cpu_seconds": resource.RLIMIT_CPU,
    "open_files": resource.RLIMIT_NOFILE,
}
_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
NOT_STARTED = 127


def main(lifeline: int, limits: dict[str, int], command: list[str]) -> int:
    """The command's exit status, as a shell tells it."""
    os.set_inheritable(lifeline, False)
    _control_process(_SET_CHILD_SUBREAPER, 1)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    asked_to_end: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    me = os.getpid()
    child = os.fork()
    if child == 0:
        _become(command, limits, me)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    _let_go_of_streams()
    status = None
    while status is None and not asked_to_end:
        ready, _, _ = select.select([lifeline, wake], [], [])
        with contextlib.suppress(OSError):
            os.read(wake, 4096)
        status = _reap(child)
        if lifeline in ready:
            break
    if status is None:
        status = _ask_to_end(child, wake)
    return _kill_all(child, status)


def _become(command: list[str], limits: dict[str, int], parent: int) -> None:
    """Turns this (forked) process into the command."""
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _control_process(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(NOT_STARTED)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for name, asked in limits.items():
            _, hard = resource.getrlimit(_LIMITS[name])
            most = asked if hard == resource.RLIM_INFINITY else min(asked, hard)
            resource.setrlimit(_LIMITS[name], (most, most))
        os.execvp(command[0], command)  # noqa: S606 - the settings say what is run
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
    except BaseException as error:  # noqa: BLE001 - a forked process must not go on as the supervisor
        os.write(2, f"cannot start {command[0]}: {type(error).__name__}\n".encode())
    os._exit(NOT_STARTED)


def _let_go_of_streams() -> None:
    """Only the command may hold the pipes, so that their end is seen when it ends."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _reap(child: int) -> "int | None":
    """Collects what has ended; the child's status if it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, told = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(told)
                status = 128 - code if code < 0 else code
    return status


def _ask_to_end(child: int, wake: int) -> "int | None":
    _signal_group(child, signal.SIGTERM)
    ends_at = time.monotonic() + GRACE_SECONDS
    status = _reap(child)
    while status is None and (left := ends_at - time.monotonic()) > 0:
        select.select([wake], [], [], left)
        with contextlib.suppress(OSError):
            os.read(wake, 4096)
        status = _reap(child)
    return status


def _kill_all(child: int, status: "int | None") -> int:
    """Kills the command's group and every process that came to us, until there is none."""
    ends_at = time.monotonic() + KILL_SECONDS
    while time.monotonic() < ends_at:
        _signal_group(child, signal.SIGKILL)
        for pid in _children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        status = status if (told := _reap(child)) is None else told
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        time.sleep(0.005)
    return 128 + signal.SIGKILL if status is None else status


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _control_process(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]))
