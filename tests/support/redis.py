"""A real Redis or Valkey server of the tests' own: on a Unix socket in a folder of its own, gone with the process."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_START_SECONDS = 20


def find_program() -> str:
    """The server's path."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        pytest.fail(
            "there is no redis-server on this machine: install Redis (Debian: apt-get install redis-server)"
        )
    return found


class RedisServer:
    """A running server. `kill` ends it without notice, `start` brings it back with what it had saved."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                find_program(), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder),
                "--save", "", "--appendonly", "no", "--logfile", str(self._folder / "log"), *self._options,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        ends = time.monotonic() + _START_SECONDS
        while True:
            try:
                if self.run("PING").startswith((b"+PONG", b"-NOAUTH")):
                    return
            except OSError:
                pass
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < ends, "the server does not start"
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        """The process, which must be running."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def run(self, *words: str) -> bytes:
        """One command on a connection of its own; its reply as it comes, up to 64 kB."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{parts}".encode())
            return connection.recv(65536)

    def freeze(self) -> None:
        """It stops where it is; connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a crash: what was not saved is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)


@contextlib.contextmanager
def run_redis(*options: str) -> Iterator[RedisServer]:
    # A socket's path has at most about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
    server = RedisServer(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests of a process that do it no harm; each uses keys or databases of its own."""
    with run_redis() as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """The same, emptied."""
    redis_server.run("FLUSHALL")
    return redis_server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server for one test, which may kill it."""
    with run_redis() as server:
        yield server
