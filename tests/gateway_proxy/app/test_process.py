"""What a process does at its start: its loop, its log, and a helper's bond with its parent."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_proxy.app.process import count_cores, run_loop

HELPER = """
import os, signal, sys
from gateway_proxy.app.process import become_helper, start_logging
become_helper()
start_logging()
for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    os.kill(os.getpid(), name)
print("alive", os.nice(0) > 0 and os.getpgrp() == os.getpid() and os.getsid(0) == os.getsid(os.getppid()))
"""
WAY = """
import os, sys
from gateway_proxy.app.process import give_way
give_way(int(sys.argv[1]))
print(sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_IDLE)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
"""
WAITING = "import time\nfrom gateway_proxy.app.process import become_helper\nbecome_helper()\nprint('up', flush=True)\ntime.sleep(60)\n"


def test_a_coroutine_is_run() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append(asyncio.get_running_loop().__class__.__name__)

    run_loop(work)
    assert len(done) == 1


def test_children_get_no_descriptor_that_was_handed_on_to_us() -> None:
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    seen: list[int] = []

    async def work() -> None:
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", f"test -e /dev/fd/{theirs}", stdin=asyncio.subprocess.DEVNULL
        )
        seen.append(await child.wait())

    run_loop(work)
    os.close(ours)
    os.close(theirs)
    assert seen == [1]


def test_signals_for_both_do_not_end_a_helper() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELPER], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["alive", "True"]


@pytest.mark.parametrize(
    ("busy", "priority", "gives"), [(0, "", True), (0, "low", False), (100_000, "", False)]
)
def test_a_helper_gives_way_where_a_core_is_left(busy: int, priority: str, gives: bool) -> None:
    environment = {**os.environ, "GATEWAY_PROXY_ADMIN_PRIORITY": priority}
    done = subprocess.run(
        [sys.executable, "-c", WAY, str(busy)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() == str(gives and sys.platform == "linux")


def test_a_quota_leaves_fewer_cores(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    everything = count_cores(quota)
    assert everything >= 1
    for text, cores in (("max 100000\n", everything), ("50000 100000\n", 0.5), ("", everything)):
        quota.write_text(text)
        assert count_cores(quota) == cores


def test_a_helper_dies_with_its_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, WAITING], capture_output=True, text=True, timeout=30, check=True
    )
    # The helper held the parent's output open: that run() has returned says that it is gone.
    assert int(done.stdout) > 1


def test_bodies_that_come_and_go_fault_no_pages_in_again() -> None:
    code = """
import resource
import orjson
from gateway_proxy.app.process import keep_freed_memory
keep_freed_memory()
def come_and_go(times):
    for _ in range(times):
        orjson.loads(orjson.dumps({"content": "x" * 32_000}))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = come_and_go(20)
print(come_and_go(200) - before)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert int(told) < (20 if sys.platform == "linux" else 10_000), (
        told
    )  # 18 each with glibc's own thresholds
