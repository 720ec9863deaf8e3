"""The entry point: quick help, one line for every failure, the right exit code."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from gateway_proxy import __version__
from gateway_proxy.cli import main
from gateway_proxy.cli.main import ready_streams, run

ROOT = Path(__file__).parents[3]
START = [sys.executable, "-m", "gateway_proxy"]
INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "gateway_proxy.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
if {ignored}:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.argv = ["gateway-proxy", "--version"]
from gateway_proxy.__main__ import main
main()
"""


def start(*arguments: str, cwd: Path, **options) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    environment.pop("GATEWAY_PROXY_CONFIG", None)
    return subprocess.Popen(
        [*START, *arguments], cwd=cwd, env=environment, text=True,
        stdout=options.get("stdout", subprocess.PIPE), stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_a_whole_life_in_real_processes(tmp_path: Path) -> None:
    process = start("keys", "create", "--name", "alpha", cwd=tmp_path)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "gwk_" in out
    process = start("keys", "list", cwd=tmp_path)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "alpha" in out


def test_help_is_quick_and_imports_no_command(tmp_path: Path) -> None:
    code = (
        "import sys; from gateway_proxy.cli.main import run; run(['--help']); run(['keys', '--help']);"
        "print([m for m in sys.modules if m.startswith(('gateway_proxy.', 'pydantic', 'asyncio', 'sqlite3'))])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == str(
        ["gateway_proxy.cli", "gateway_proxy.cli.lazy", "gateway_proxy.cli.refusal", "gateway_proxy.cli.main"]
    )


def test_a_closed_pipe_is_one_line(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start("config", "schema", cwd=tmp_path, stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err == "gateway-proxy: the output was closed before everything was written\n"


@pytest.mark.slow
def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    start("keys", "create", "--name", "alpha", cwd=tmp_path).communicate(timeout=20)
    process = start("logs", "--follow", cwd=tmp_path)
    # The write-ahead log appears when the store is opened: from then on the command is inside its loop.
    deadline = time.monotonic() + 15
    while not (tmp_path / "gateway.db-wal").exists() and time.monotonic() < deadline:
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")


@pytest.mark.slow
@pytest.mark.parametrize(("ignored", "code"), [(False, 130), (True, 0)])
def test_an_interrupt_while_modules_are_imported(ignored: bool, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(ignored=ignored)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["bogus"], "bogus"),
        (["keys", "bogus"], "bogus"),
        (["keys", "list", "--bogus"], "--bogus"),
        (["keys", "list", "--sort", "colour"], "--sort"),
        (["keys", "list", "--order", "up"], "--order"),
        (["keys", "list", "--status", "old"], "--status"),
        (["keys", "list", "extra"], "extra"),
        (["keys", "show"], "ID|NAME"),
        (["keys", "update", "x"], "at least one flag"),
        (["keys", "rotate", "x", "--grace", "-1"], "--grace"),
        (["keys", "create"], "--name"),
        (["keys", "create", "--name"], "--name"),
        (["keys", "import"], "FILE"),
        (["logs", "--limit", "0"], "--limit"),
        (["logs", "--since", "yesterday"], "--since"),
        (["usage", "report", "--by", "colour"], "--by"),
        (["usage", "report", "--since", "5"], "--since"),
    ],
)
def test_wrong_usage_is_one_line_that_names_it(cli, tmp_path, arguments, named) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("gateway-proxy: ")
    assert outcome.err.count("\n") == 1
    assert named in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_no_command_shows_what_there_is(cli) -> None:
    outcome = cli()
    assert outcome.code == 2
    assert "Commands:" in outcome.err
    assert cli("--help").code == 0


@pytest.mark.parametrize("failure", [RuntimeError("boom\nboom"), RecursionError(), KeyError("x")])
def test_a_bug_is_one_line(monkeypatch, capsys, failure) -> None:
    @click.command()
    def broken() -> None:
        raise failure

    monkeypatch.setattr(main.keys, "get_command", lambda ctx, name: broken)
    monkeypatch.delenv("GATEWAY_PROXY_DEBUG", raising=False)
    assert run(["keys", "broken"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"unexpected {type(failure).__name__}" in err
    monkeypatch.setenv("GATEWAY_PROXY_DEBUG", "1")
    with pytest.raises(type(failure)):
        run(["keys", "broken"])


def test_a_full_disk_is_named(monkeypatch, capsys) -> None:
    @click.command()
    def broken() -> None:
        raise OSError(28, "No space left on device", "/data/x")

    monkeypatch.setattr(main.keys, "get_command", lambda ctx, name: broken)
    assert run(["keys", "broken"]) == 1
    assert capsys.readouterr().err == "gateway-proxy: /data/x: No space left on device\n"


def test_version(cli) -> None:
    assert cli("--version").out == f"gateway-proxy {__version__}\n"


def test_pipes_are_utf_8_and_a_closed_stream_goes_nowhere(monkeypatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", None)
    ready_streams()
    print("gwk_AbCd…wxyz ü", flush=True)
    print("nowhere", file=sys.stderr, flush=True)
    sys.stderr.close()
    assert written.getvalue() == "gwk_AbCd…wxyz ü\n".encode()
