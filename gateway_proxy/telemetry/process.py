"""What the operating system knows about this process, under the names that Prometheus' clients use."""

import os
import resource
from pathlib import Path

from gateway_proxy.telemetry.exposition import Samples

_SELF = Path("/proc/self")


def sample_process(started_at: int) -> dict[str, Samples]:
    """By the metric's name; what this system does not tell is left out. `started_at` in Unix milliseconds."""
    times = os.times()
    soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    samples: dict[str, Samples] = {
        "process_cpu_seconds_total": {(): round(times.user + times.system, 6)},
        "process_max_fds": {(): "+Inf" if soft_limit == resource.RLIM_INFINITY else soft_limit},
        "process_start_time_seconds": {(): started_at / 1000},
    }
    try:
        pages = (_SELF / "statm").read_text("ascii").split()
        page_bytes = resource.getpagesize()
        samples["process_virtual_memory_bytes"] = {(): int(pages[0]) * page_bytes}
        samples["process_resident_memory_bytes"] = {(): int(pages[1]) * page_bytes}
    except OSError:  # not on Linux
        pass
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            samples["process_open_fds"] = {(): len(os.listdir(folder)) - 1}  # without the one that lists
            break
        except OSError:
            continue
    return samples
