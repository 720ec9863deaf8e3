"""What this process is known to use."""

import os
import sys

from gateway_proxy.telemetry.process import sample_process


def test_a_process_knows_itself() -> None:
    before = sample_process(1_700_000_000_123)
    with open(os.devnull) as _:
        after = sample_process(1_700_000_000_123)
    assert after["process_open_fds"][()] == before["process_open_fds"][()] + 1  # type: ignore[operator]
    assert before["process_start_time_seconds"] == {(): 1_700_000_000.123}
    assert 0 < after["process_cpu_seconds_total"][()] < 1e6  # type: ignore[operator]
    assert before["process_max_fds"][()] != 0


def test_memory_where_the_system_tells() -> None:
    sample = sample_process(0)
    names = ("process_resident_memory_bytes", "process_virtual_memory_bytes")
    told = [value for name in names for value in sample.get(name, {}).values()]
    assert len(told) == (2 if sys.platform == "linux" else 0)
    if told:
        assert 10_000_000 < told[0] < told[1]  # type: ignore[operator]
