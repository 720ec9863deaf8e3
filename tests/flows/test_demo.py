"""`demo` as a newcomer meets it: what it prints works as printed, only from this machine, and Ctrl-C ends all of it."""

import os
import queue
import re
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import command

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0


class Demo:
    """A running demo with a folder of its own, and what it printed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway_proxy", "demo", "--port", str(port), "--data-dir", str(folder)],
            cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.text = ""
        while "logs -c" not in self.text:
            line = self._lines.get(timeout=START_SECONDS)
            if line is None:
                raise RuntimeError(f"the demo did not start: {self.text}")
            self.text += line
        self.secret = re.findall(r"gwk_\w+", self.text)[0]
        self.url = re.findall(r"demo: (http://127\.0\.0\.1:\d+) ", self.text)[0]
        self.port = int(self.url.rpartition(":")[2])

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as out:
            for line in out:
                self._lines.put(line)
        self._lines.put(None)

    def children(self) -> set[int]:
        """The processes of its session, itself included."""
        found = subprocess.run(
            ["ps", "-s", str(self._process.pid), "-o", "pid="], capture_output=True, text=True, check=False
        )
        return {int(pid) for pid in found.stdout.split()}

    def interrupt(self) -> int:
        """Ctrl-C in its terminal: SIGINT to all of its processes. Returns the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._end()

    def terminate(self) -> int:
        """SIGTERM to the demo alone."""
        self._process.terminate()
        return self._end()

    def _end(self) -> int:
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise
        finally:
            self._reader.join(5)
            while (line := self._lines.get(timeout=5)) is not None:
                self.text += line

    def ask(self, secret: str, host: str = "") -> tuple[int, str]:
        """GET /v1/models: status and body."""
        headers = {"authorization": f"Bearer {secret}"} | ({"host": host} if host else {})
        request = urllib.request.Request(self.url + "/v1/models", headers=headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=10
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def printed_block(text: str, title: str) -> str:
    """What is printed below a title, up to the next one."""
    return textwrap.dedent(re.split(r"\n(?=\S)", text.split(f"\n{title}")[1].partition("\n")[2])[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[Demo]:
    with socket.socket() as taken:  # so that it must take the next one
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = Demo(folder, port)
        assert port < running.port < port + 100
    try:
        yield running
    finally:
        if running.children():
            running.terminate()


def test_the_curl_line_works_as_printed(demo: Demo) -> None:
    line = printed_block(demo.text, "curl:").strip()
    assert line.startswith("curl ")
    done = subprocess.run(
        ["sh", "-c", f"{line} -sS"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"choices":[' in done.stdout and '"usage":{' in done.stdout


def test_the_sdk_snippet_works_as_printed(demo: Demo) -> None:
    code = printed_block(demo.text, "Python (pip install openai):")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "tok " * 16


def test_the_command_lines_work_as_printed(demo: Demo) -> None:
    lines = printed_block(demo.text, "The same store from the command line:").split("\n")
    commands = [shlex.split(line.partition(" ")[2].removeprefix("cli ")) for line in lines if line.strip()]
    assert len(commands) == 2
    for arguments in commands:
        done = command(*arguments)
        assert (done.code, done.err) == (0, "") and "Demo key" in done.out


def test_only_this_machines_names_are_served(demo: Demo) -> None:
    for host in ("", f"localhost:{demo.port}", f"LOCALHOST:{demo.port}"):
        assert demo.ask(demo.secret, host)[0] == 200
    for host in (
        "evil.example",
        f"evil.example:{demo.port}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{demo.port}",
    ):
        status, body = demo.ask(demo.secret, host)
        assert status == 421 and "unknown_host" in body


def test_the_dashboard_link_signs_in_once(demo: Demo) -> None:
    link = re.findall(r"http://127\.0\.0\.1:\d+/dashboard/enter/\S+", demo.text)[0]
    cookies = urllib.request.HTTPCookieProcessor()
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
    accept = {"accept": "text/html"}
    with browser.open(urllib.request.Request(link, headers=accept), timeout=20) as page:
        assert page.status == 200 and page.url.startswith(f"{demo.url}/dashboard") and "enter" not in page.url
    with browser.open(
        urllib.request.Request(f"{demo.url}/dashboard/configuration/api-keys", headers=accept), timeout=20
    ) as page:
        assert "Demo key" in page.read().decode()
    stranger = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        stranger.open(urllib.request.Request(link, headers=accept), timeout=20)
    refused.value.close()
    evil = urllib.request.Request(f"{demo.url}/dashboard", headers={"host": f"evil.example:{demo.port}"})
    with pytest.raises(urllib.error.HTTPError, match="421") as refused:
        stranger.open(evil, timeout=20)
    refused.value.close()


def test_a_second_demo_on_its_folder_changes_nothing(demo: Demo) -> None:
    second = command("demo", "--data-dir", str(demo.folder))
    assert second.code == 1 and "a demo is running on" in second.err and second.err.count("\n") == 1
    assert demo.ask(demo.secret)[0] == 200
    assert f"127.0.0.1:{demo.port}" in (demo.folder / "config.toml").read_text()


def test_its_store_is_no_production_store(demo: Demo) -> None:
    refused = command("serve", "-c", str(demo.folder / "config.toml"))
    assert refused.code == 1 and refused.err.count("\n") == 1
    text = (demo.folder / "config.toml").read_text().replace(str(demo.port), "0")
    (demo.folder / "production.toml").write_text(text)
    refused = command("serve", "-c", str(demo.folder / "production.toml"))
    assert refused.code == 1 and "is the store of a demo" in refused.err


def test_ctrl_c_ends_everything_and_the_next_start_has_a_new_key(demo: Demo, folder: Path) -> None:
    assert len(demo.children()) == 3  # with the fake provider and the admin process
    assert demo.interrupt() == 0
    assert not demo.children()
    assert "Traceback" not in demo.text and "ERROR" not in demo.text
    again = Demo(folder, demo.port)
    try:
        assert again.secret != demo.secret
        assert again.ask(again.secret)[0] == 200
        assert again.ask(demo.secret)[0] == 401
        stranger = command("demo", "--data-dir", str(Path(__file__)))
        assert stranger.code in (1, 2) and stranger.err.count("\n") == 1
    finally:
        assert again.terminate() == 0
    assert not again.children() and "Traceback" not in again.text
