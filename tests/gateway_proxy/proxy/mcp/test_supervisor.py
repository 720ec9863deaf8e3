"""The supervisor as a process: limits, and an end for everything however its parent goes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway_proxy.proxy.mcp import supervisor

SCRIPT = supervisor.__file__
SERVER = Path(__file__).parents[3] / "support" / "mcp_stdio.py"
PARENT = """
import os, subprocess, sys
hear, lifeline = os.pipe()
child = subprocess.Popen(
    [sys.executable, "-I", "-S", sys.argv[1], str(hear), "{}", *sys.argv[2:]], pass_fds=(hear,), start_new_session=True
)
print(child.pid, flush=True)
sys.stdin.read()
"""


def run(*words: str, **limits: int) -> subprocess.CompletedProcess[str]:
    hear, lifeline = os.pipe()
    try:
        return subprocess.run(
            [sys.executable, "-I", "-S", SCRIPT, str(hear), json.dumps(limits), *words],
            pass_fds=(hear,),
            capture_output=True,
            text=True,
            timeout=20,
        )
    finally:
        os.close(lifeline)
        os.close(hear)


def wait_until_gone(pids: list[int]) -> bool:
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """The process and what it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(one for child in children for one in family(int(child)))]


@pytest.mark.slow
def test_the_status_is_the_commands_and_the_limits_hold() -> None:
    assert run("sh", "-c", "exit 7").returncode == 7
    assert run("sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL
    assert run("sh", "-c", "ulimit -n; ulimit -c", open_files=64).stdout.split() == ["64", "0"]
    gone = run("no-such-program")
    assert gone.returncode == supervisor.NOT_STARTED and "cannot start no-such-program" in gone.stderr


@pytest.mark.slow
def test_what_a_command_leaves_behind_is_ended() -> None:
    left = run("sh", "-c", "setsid sleep 600 & sleep 600 & echo $! $(pgrep -n -x sleep || echo 0); exit 3")
    assert left.returncode == 3  # and the pipes, which they hold, have ended
    assert not any(is_alive(int(pid)) for pid in left.stdout.split() if pid != "0")


@pytest.mark.slow
@pytest.mark.parametrize("habits", [("fork",), ("fork", "stubborn")])
def test_a_parent_that_is_killed_takes_everything_along(habits: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", PARENT, SCRIPT, sys.executable, "-S", str(SERVER), *habits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None and parent.stdin is not None
        pid = int(parent.stdout.readline())
        ends_at = time.monotonic() + 10
        while len(family(pid)) < 3 and time.monotonic() < ends_at:
            time.sleep(0.02)
        everything = family(pid)
        assert len(everything) >= 3
        parent.kill()
        assert wait_until_gone(everything)


@pytest.mark.slow
def test_a_supervisor_that_is_killed_takes_the_command_along() -> None:
    hear, lifeline = os.pipe()
    words = [sys.executable, "-I", "-S", SCRIPT, str(hear), "{}", "sleep", "600"]
    with subprocess.Popen(words, pass_fds=(hear,)) as process:
        ends_at = time.monotonic() + 10
        while len(family(process.pid)) < 2 and time.monotonic() < ends_at:
            time.sleep(0.02)
        everything = family(process.pid)
        process.kill()
    os.close(lifeline)
    os.close(hear)
    assert len(everything) == 2 and wait_until_gone(everything)
