"""Process costs against what the process knows of itself."""

import os
import sys
import time

from bench.processes import cpu_seconds, main_thread_seconds, process_tree, rss_bytes, separate_cores
from tests.support.fake_provider import FakeProvider, fake_provider

__all__ = ["fake_provider"]


def test_a_process_tree_is_measured(fake_provider: FakeProvider) -> None:
    assert fake_provider.pid in process_tree(os.getpid())
    assert rss_bytes(os.getpid()) > rss_bytes(fake_provider.pid) > 5 << 20
    before, of_thread = cpu_seconds(os.getpid()), main_thread_seconds(os.getpid())
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert cpu_seconds(os.getpid()) - before >= 0.08
    assert main_thread_seconds(os.getpid()) - of_thread >= 0.08


def test_what_is_measured_has_a_core_to_itself(fake_provider: FakeProvider) -> None:
    if sys.platform != "linux":
        return  # cores are not a process's to choose
    everything = os.sched_getaffinity(0)
    with separate_cores([fake_provider.pid]):
        own = os.sched_getaffinity(fake_provider.pid)
        assert len(own) == 1
        assert os.sched_getaffinity(0) == (everything - own or everything)
    assert os.sched_getaffinity(0) == os.sched_getaffinity(fake_provider.pid) == everything
