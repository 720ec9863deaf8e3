"""A real PostgreSQL server of the tests' own: on a Unix socket in a folder of its own, gone with the process.

`server.make_database()` gives the URL of an empty database.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway_proxy.storage import open_store

_START_SECONDS = 60
_ROOM = 8 * 1024**3
_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
# What is committed survives a crash of the server, not one of the machine.
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200")


def find_program(name: str) -> str:
    """The path of one of the server's programs, which Debian keeps off the PATH. The newest version wins."""
    for pattern in _FOLDERS:
        root, _, rest = pattern.partition("*")
        for path in sorted(Path(root).parent.glob(f"{Path(root).name}*{rest}/{name}"), reverse=True):
            return str(path)
    found = shutil.which(name)
    if found is None:
        pytest.fail(
            f"there is no {name} on this machine: install PostgreSQL (Debian: apt-get install postgresql)"
        )
    return found


class PostgresServer:
    """A running server. `stop` ends it; `kill` does so without notice, `start` brings it back with its data."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self._folder = folder
        self._settings = (*_FAST, *settings)  # the last of a name holds
        self._data = folder / "data"
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._clean: list[str] = []
        # The server refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        self._run(
            find_program("initdb"), "-D", str(self._data), "-U", "gateway", "-A", "trust", "-N", "-E", "UTF8"
        )

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command,
            user=self._user,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
        )
        assert done.returncode == 0, done.stderr

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self._folder)}

    def start(self) -> None:
        settings = [part for setting in self._settings for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_program("postgres"), "-D", str(self._data), "-k", str(self._folder), "-h", "", *settings],
                user=self._user, cwd=self._folder, stdout=log, stderr=log, env=self._environment(),
            )  # fmt: skip
        ends = time.monotonic() + _START_SECONDS
        while True:
            ready = subprocess.run(
                [find_program("pg_isready"), "-q", "-h", str(self._folder)],
                check=False,
                env=self._environment(),
            )
            if ready.returncode == 0:
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < ends, "PostgreSQL does not start"
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """To the postmaster. SIGINT: ends every session and stops."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a crash: no session is ended in order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(_START_SECONDS)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGINT)
            try:
                self._process.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def url(self, database: str) -> str:
        return f"postgresql://gateway@/{database}?host={self._folder}"

    async def make_store(self) -> str:
        """The URL of a database that has the schema and nothing in it; `take_back` it when done."""
        if self._clean:
            return self._clean.pop()
        url = await self.make_database()
        store = await open_store(url, migrate=True)
        await store.close()
        return url

    async def take_back(self, url: str) -> None:
        """Empty a database of `make_store` for the next test: an eighth of the time that a new one takes."""
        connection = await asyncpg.connect(url)
        try:
            tables = [
                row[0]
                for row in await connection.fetch(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                )
            ]
            deletes = "; ".join(
                f"DELETE FROM {name}" for name in tables if name not in ("schema_migrations", "counters")
            )
            await connection.execute(
                # No order of the references has to be kept.
                f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; UPDATE counters SET value = 0; COMMIT"
            )
        finally:
            await connection.close()
        self._clean.append(url)

    async def make_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._names)}"
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        finally:
            await connection.close()
        return self.url(name)


@contextlib.contextmanager
def run_postgres(*settings: str) -> Iterator[PostgresServer]:
    """`settings` are the server's own, as in `max_connections=20`."""
    # A socket's path has at most about a hundred characters: pytest's own folders may be longer. In memory where there
    # is room: each database of a test is eight megabytes of files.
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=shared if roomy else "/tmp"))
    try:
        server = PostgresServer(folder, *settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a process; each makes databases of its own."""
    with run_postgres() as server:
        yield server
