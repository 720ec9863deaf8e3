"""The gateway as a subprocess, for tests and figures: start it on a free port, kill it, start it again, read its books.

    def test_it(start_gateway, fake_provider):
        gateway = start_gateway(provider_toml(fake_provider.base_url))
        key = gateway.create_key(budget_usd="1")  # key.id, key.secret

`start_gateway` is a fixture; `RunningGateway` is a context manager for everybody else.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from gateway_proxy.cli.local import Local, open_local
from gateway_proxy.keys.service import Caller, Changed, KeyService
from tests.support.sign_in import make_session, make_token

__all__ = ["CreatedKey", "RunningGateway", "provider_toml", "start_gateway"]

_REPOSITORY = Path(__file__).resolve().parents[2]
_T = TypeVar("_T")
_CALLER = Caller("tests")
START_SECONDS = 60.0  # of a machine that is busy with other tests


class CreatedKey(NamedTuple):
    """A key and its secret."""

    id: str
    secret: str


def provider_toml(
    base_url: str, *, name: str = "fake", dialect: str = "openai", timeouts: str = "", extra: str = ""
) -> str:
    """A [[providers]] table; `timeouts` as in `connect = 1, first_byte = 2`, `extra` further lines.

    Its credential is the gateway's `provider_key`.
    """
    lines = [
        "[[providers]]",
        f'name = "{name}"',
        f'dialect = "{dialect}"',
        f'base_url = "{base_url}"',
        'api_key = "file:provider.key"',
        f"timeouts = {{ {timeouts} }}" if timeouts else "",
        extra,
    ]
    return "\n".join(line for line in lines if line) + "\n"


class RunningGateway:
    """A gateway process with a folder of its own. Raises RuntimeError with its own words when it does not start.

    `tables` are the tables of its config.toml except [server] and [storage]; `server` and `storage` are further lines
    of those two; the books of another `store_url` are read by asking the gateway. `environment` adds to the process's environment. `provider_key` is the credential of every provider
    made by `provider_toml`. Without `start` nothing runs yet. The admin process starts with the first request for dashboard or admin API.
    """

    def __init__(
        self,
        tables: str,
        *,
        server: str = "drain_seconds = 2",
        storage: str = "",
        store_url: str = "sqlite:gateway.db",
        environment: dict[str, str] | None = None,
        provider_key: str = "fake-key",
        start: bool = True,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="gateway-")
        self.folder = Path(self._temporary.name)
        self.config_path = self.folder / "config.toml"
        self.log_path = self.folder / "log"
        self.program: tuple[str, ...] = ("gateway_proxy",)
        self.store_path = self.folder / "gateway.db"
        self.data_dir = self.folder / "gateway-data"
        self.port = _free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = self.origin + "/v1"
        self._head = f'[server]\nlisten = "127.0.0.1:{self.port}"\n{server}\n[storage]\nurl = "{store_url}"\n{storage}\n'
        self._environment = {**os.environ, "GATEWAY_PROXY_LAZY_ADMIN": "1", **(environment or {})}
        self._environment.pop("GATEWAY_PROXY_CONFIG", None)
        self._process: subprocess.Popen[bytes] | None = None
        # A proxy set in the environment must not see loopback traffic.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        credential = self.folder / "provider.key"
        credential.touch(0o600)
        credential.write_text(provider_key)
        self.write_config(tables)
        try:
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    # Life

    @property
    def pid(self) -> int:
        """The process, which must be running."""
        assert self._process is not None, "the gateway is not running"
        return self._process.pid

    def write_config(self, tables: str) -> None:
        """Replace the tables; a running gateway notices and reloads."""
        temporary = self.config_path.with_suffix(".new")
        temporary.write_text(self._head + tables)
        temporary.replace(self.config_path)

    def start(self) -> None:
        """Start the process and wait until it is ready. Raises RuntimeError."""
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start the process and wait for nothing. From the main thread only: the process ends with its starting thread."""
        assert self._process is None, "the gateway runs already"
        assert threading.current_thread() is threading.main_thread(), "start gateways from the main thread"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.program, "serve", "-c", str(self.config_path)],
                cwd=_REPOSITORY, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_die_with_parent,
            )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Blocks. Raises RuntimeError when the process ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the gateway did not start:\n{self.log_text()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: nothing is finished and nothing more is written. Nothing happens if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, timeout_seconds: float = 15.0) -> int:
        """SIGTERM, and wait; returns the exit code. Raises subprocess.TimeoutExpired."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(timeout_seconds)

    def wait(self, timeout_seconds: float = 15.0) -> int:
        """The exit code of a process that was told to end. Raises subprocess.TimeoutExpired."""
        assert self._process is not None, "the gateway is not running"
        code = self._process.wait(timeout_seconds)
        self._process = None
        return code

    def restart(self) -> None:
        """Kill it if it runs, and start it again on the same store and port."""
        self.kill()
        self.start()

    def use_store(self, tables: str, store_url: str) -> None:
        """Write settings with another store; it is taken at the next start."""
        self._head = re.sub(r'^url = ".*"$', f'url = "{store_url}"', self._head, count=1, flags=re.MULTILINE)
        self.write_config(tables)

    def close(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        self._temporary.cleanup()

    def __enter__(self) -> "RunningGateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Keys

    def create_key(self, name: str = "test", **members: Any) -> CreatedKey:
        """A key as the command line makes it, live when this returns. `members` as in the admin API."""
        changed = self.change_keys(
            lambda service, organization: service.create(
                {"name": name, **members}, _CALLER, organization=organization
            )
        )
        assert changed.secret is not None
        return CreatedKey(changed.key.id, changed.secret)

    def update_key(self, key_id: str, **members: Any) -> Changed:
        """A merge patch, live when this returns."""
        return self.change_keys(lambda service, _: service.update(key_id, members, _CALLER))

    def revoke_key(self, key_id: str) -> None:
        """In the store, whoever has heard of it."""
        self.change_keys(lambda service, _: service.revoke(key_id, _CALLER), waits=False)

    def rotate_key(self, key_id: str, grace_seconds: int = 0) -> CreatedKey:
        """A new secret for the key, live when this returns."""
        body = {"grace_seconds": grace_seconds}
        changed = self.change_keys(lambda service, _: service.rotate(key_id, body, _CALLER))
        assert changed.secret is not None
        return CreatedKey(key_id, changed.secret)

    def change_keys(
        self, change: Callable[[KeyService, str], Coroutine[Any, Any, Changed]], *, waits: bool = True
    ) -> Changed:
        """Any change of the key service, given (service, organization); live when this returns, if it `waits`."""

        async def work() -> Changed:
            async with open_local(self.config_path) as local:
                organization = local.organization or "default"
                changed = await change(await local.service(), organization)
                if waits:
                    await _wait_until_live(local, organization, changed)
                return changed

        return _run_apart(work())

    # The admin side

    @property
    def admin_url(self) -> str:
        """Where dashboard and admin API are, without a final slash."""
        apart = re.search(r'^admin_listen = "([^"]+)"', self._head, re.MULTILINE)
        return f"http://{apart[1]}" if apart else self.origin

    def admin_token(self, role: str = "owner", organization: str = "default") -> str:
        """The secret of a new admin token, for `fetch(…, secret=…)`."""
        return _run_apart(make_token(self.config_path, role, organization))

    def sign_in(
        self, email: str = "ada@example.com", role: str = "owner", organization: str = "default"
    ) -> dict[str, str]:
        """The cookie of a signed-in member, who is made if need be, by its name."""
        return {"gateway_session": _run_apart(make_session(self.config_path, email, role, organization))}

    # Books

    def query(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Rows of the store, which is opened read-only."""
        connection = sqlite3.connect(f"file:{self.store_path}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql, parameters)]
        finally:
            connection.close()

    def ledger_rows(self, key_id: str | None = None) -> list[dict[str, Any]]:
        """The ledger in order of admission, of one key or of all. Rows lag behind the answers by up to 250 ms."""
        where, parameters = ("", ()) if key_id is None else ("WHERE key_id = ?", (key_id,))
        return self.query(
            f"SELECT * FROM ledger {where} ORDER BY admitted_at, request_id, attempt", *parameters
        )

    def settled_rows(self, key_id: str | None = None, timeout_seconds: float = 15.0) -> list[dict[str, Any]]:
        """The ledger once no exchange runs and all rows are in the store. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while self.readiness()["running"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"exchanges still run after {timeout_seconds} s")
            time.sleep(0.02)
        # A change of a key with a budget flushes the books before it is acknowledged.
        self.create_key("flush", budget_usd="0")
        return self.ledger_rows(key_id)

    def events(self) -> list[dict[str, Any]]:
        """The budget events of the outbox, oldest first."""
        return self.query("SELECT * FROM outbox WHERE type LIKE 'budget.%' ORDER BY at, id")

    def log_text(self) -> str:
        """Everything that all processes of this gateway wrote to stdout and stderr."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # HTTP

    def readiness(self) -> dict[str, Any]:
        """The body of /readyz."""
        return self.fetch("/readyz")[1]

    def key_state(self, secret: str) -> dict[str, Any]:
        """GET /v1/key. Raises RuntimeError when it is refused."""
        status, body = self.fetch("/v1/key", secret=secret)
        if status != 200:
            raise RuntimeError(f"GET /v1/key: {status} {body}")
        return body

    def fetch(
        self, path: str, *, secret: str = "", body: Any = None, timeout_seconds: float = 30.0
    ) -> tuple[int, Any]:
        """(status, parsed JSON body) of a GET, or of a POST when there is a body. Blocks. Raises URLError."""
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["content-type"] = "application/json"
        request = urllib.request.Request(self.origin + path, data, headers)
        try:
            with self._opener.open(request, timeout=timeout_seconds) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def ask(self, secret: str, **members: Any) -> tuple[int, str]:
        """Status and error code of a chat; `members` of its body in the place of the usual ones."""
        body = {
            "model": "chat",
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": 8,
            **members,
        }
        status, answer = self.fetch("/v1/chat/completions", secret=secret, body=body)
        return status, (answer.get("error") or {}).get("code") or ""

    def is_ready(self) -> bool:
        try:
            return self.fetch("/readyz", timeout_seconds=5)[0] == 200
        except OSError:
            return False


def _run_apart(work: Coroutine[Any, Any, _T]) -> _T:
    """In a thread of its own: the test may have a running loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _wait_until_live(local: Local, organization: str, changed: Changed) -> None:
    live = await local.wait_until_live(organization, changed.sequence)
    while live.acked < live.gateways:  # a machine under load may take longer than the product's promise
        live = await local.wait_until_live(organization, changed.sequence)


def _free_port() -> int:
    """A port outside the range that outgoing connections take theirs from, so that it is free after a restart too.

    Each of the processes that share the tests has ports of its own: nobody else takes one before the gateway does.
    """
    lowest = 20_000 + 2_500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4)
    while True:
        port = random.randrange(lowest, lowest + 2_500)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _die_with_parent() -> None:
    """A killed test run must leave no gateway behind: PR_SET_PDEATHSIG, prctl(2)."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@pytest.fixture
def start_gateway() -> Iterator[Callable[..., RunningGateway]]:
    """`start_gateway(tables, …)` starts a gateway; all end after the test."""
    started: list[RunningGateway] = []

    def start(tables: str, **options: Any) -> RunningGateway:
        started.append(RunningGateway(tables, **options))
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()
