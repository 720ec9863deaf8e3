"""What a process and its descendants have cost so far: CPU time and memory, read from the kernel (Linux)."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its live descendants (and what their dead children left them), in seconds.

    To the nanosecond for what lives, by each process's own clock (clock_getcpuclockid(3)): a round of some hundred
    requests is a few of the ticks that /proc counts in.
    """
    total = 0.0
    for member in process_tree(pid):
        fields = _stat_fields(member)
        if fields is not None:
            total += sum(int(field) for field in fields[13:15]) / _TICKS_PER_SECOND
            with suppress(OSError):  # it ended just now
                total += time.clock_gettime((~member << 3) | 2)
    return total


@contextmanager
def separate_cores(measured: Iterable[int]) -> Iterator[None]:
    """Meanwhile the measured processes have the first core to themselves; this one and its other children share the rest.

    Else the load takes turns with what it measures on both cores, and what a request costs depends on who went before.
    Does nothing where there is one core only, and on other systems than Linux.
    """
    if sys.platform != "linux" or len(cores := sorted(os.sched_getaffinity(0))) < 2:
        yield
        return
    apart = {member for pid in measured for member in process_tree(pid)}
    placed = {pid: {cores[0]} if pid in apart else set(cores[1:]) for pid in process_tree(os.getpid())}
    try:
        _place(placed)
        yield
    finally:
        _place({pid: set(cores) for pid in placed})


def _place(placed: Mapping[int, set[int]]) -> None:
    for pid, cores in placed.items():
        with suppress(OSError):  # a process or thread ended just now
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)


def main_thread_seconds(pid: int) -> float:
    """What the first thread of a process has computed so far, to the nanosecond: that of its event loop, if it has one."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and all its live descendants, shared pages counted in each."""
    total = 0
    for member in process_tree(pid):
        fields = _stat_fields(member)
        if fields is not None:
            total += int(fields[21]) * _PAGE_BYTES
    return total


def process_tree(pid: int) -> list[int]:
    """The process and its live descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat_fields(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, []))
    return found


def _stat_fields(pid: int) -> list[str] | None:
    """proc(5) stat from field 3 on: the name before may hold blanks and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()
