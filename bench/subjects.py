"""The processes of a bench: the fake provider, the gateway with its keys, and the bare pass-through beside it."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0


def make_environment() -> dict[str, str]:
    """As an installation runs: with compiled modules, which are kept out of the tree.

    The admin process is started by the first page, so that figures of the gateway are the gateway's.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled = Path(tempfile.gettempdir()) / f"gateway-bench-compiled-{os.getuid()}"
    ours = {
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(compiled),
        "GATEWAY_PROXY_LAZY_ADMIN": "1",
    }
    return {**inherited, **ours}


class Subject:
    """One started process that prints `… http://host:port…` when it is ready."""

    def __init__(self, arguments: list[str], *, cwd: Path | None = None, log: Path | None = None) -> None:
        self._log_path = log
        self._log = open(log, "ab") if log else subprocess.DEVNULL  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd or ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=make_environment(),
        )
        self.pid = self.process.pid

    def wait_for_url(self) -> str:
        """The URL in its first line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if "http" not in line:
            raise RuntimeError(f"{self.process.args} did not start: {line!r}")
        return line[line.index("http") :].split()[0]

    def read_log(self) -> str:
        """What it has written to its log so far."""
        return self._log_path.read_text() if self._log_path else ""

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def fake_provider(*extra: str) -> Iterator[str]:
    """The fake provider without a ledger; yields its base URL, with /v1."""
    subject = Subject(["-m", "gateway_proxy.fake_provider", "--port", "0", *extra])
    try:
        yield subject.wait_for_url() + "/v1"
    finally:
        subject.stop()


@contextmanager
def bare_proxy(upstream: str, cafile: str | None = None) -> Iterator[SimpleNamespace]:
    """The yardstick; yields pid and url (with /v1)."""
    extra = ["--cafile", cafile] if cafile else []
    subject = Subject(["bench/bare_proxy.py", "--port", "0", "--upstream", upstream, *extra])
    try:
        yield SimpleNamespace(pid=subject.pid, url=subject.wait_for_url() + "/v1")
    finally:
        subject.stop()


SETTINGS = """\
[server]
listen = "127.0.0.1:{port}"
[storage]
url = "{store_url}"
data_dir = "data"
[security]
pepper = "file:data/pepper"
[[providers]]
name = "fake"
base_url = "{upstream}"
[[models]]
name = "bench-model"
targets = [{{ provider = "fake", model = "bench-model" }}]
max_output_tokens = 4096
max_input_tokens = 128000
price = {{ input = 0.15, output = 0.60, cached_input = 0.075 }}
"""

EVERY_RULE = {
    "requests_per_minute": 100_000_000,
    "tokens_per_minute": 1_000_000_000_000,
    "max_parallel_requests": 100_000,
    "budget_usd": "1000000",
    "alert_thresholds": [50, 80, 100],
    "allowed_providers": ["fake"],
    "allowed_models": ["bench-*"],
    "allowed_endpoints": ["chat"],
    "ip_allowlist": ["10.0.0.0/8", "127.0.0.0/8"],
    "metadata": {"team": "bench"},
}


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_keys(folder: Path, documents: list[dict[str, object]]) -> list[str]:
    """Create keys straight in the store; returns their secrets."""
    return asyncio.run(_make_keys(folder, documents))


async def _make_keys(folder: Path, documents: list[dict[str, object]]) -> list[str]:
    from gateway_proxy.config import load_config
    from gateway_proxy.core.clock import Clock
    from gateway_proxy.keys.pepper import make_private_folder, ready_pepper
    from gateway_proxy.keys.service import Caller, KeyService
    from gateway_proxy.storage import open_store

    config = load_config(folder / "config.toml")
    make_private_folder(config.storage.data_dir)
    store = await open_store(config.storage.url.reveal(), migrate=True)
    try:
        pepper = await ready_pepper(config.security.pepper, os.environ, store.registry, store.keys)
        service = KeyService(store.keys, Clock(), pepper)
        created = [
            await service.create(
                {"name": f"bench {i}", **document}, Caller("bench", "default"), organization="default"
            )
            for i, document in enumerate(documents)
        ]
        return [changed.secret or "" for changed in created]
    finally:
        await store.close()


@contextmanager
def gateway(
    upstream: str, documents: list[dict[str, object]], *, extra_settings: str = "", cafile: str | None = None
) -> Iterator[SimpleNamespace]:
    """A serving gateway with these keys; yields pid, url (with /v1), secrets, folder, start_seconds."""
    with (
        gateway_folder(upstream, documents, extra_settings) as place,
        serving(place, cafile=cafile) as running,
    ):
        yield running


@contextmanager
def gateway_folder(
    upstream: str,
    documents: list[dict[str, object]],
    extra_settings: str = "",
    store_url: str = "sqlite:gateway.db",
) -> Iterator[SimpleNamespace]:
    """Settings and a store with these keys, to be served any number of times; yields folder, port, secrets."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-bench-"))
    try:
        port = free_port()
        settings = SETTINGS.format(port=port, upstream=upstream, store_url=store_url)
        (folder / "config.toml").write_text(settings + extra_settings)
        yield SimpleNamespace(folder=folder, port=port, secrets=make_keys(folder, documents))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(place: SimpleNamespace, *, cafile: str | None = None) -> Iterator[SimpleNamespace]:
    """A gateway on what `gateway_folder` made; yields pid, url (with /v1), secrets, folder, start_seconds."""
    folder = place.folder
    if cafile:
        os.environ["SSL_CERT_FILE"] = cafile
    begun = time.monotonic()
    subject = Subject(["-m", "gateway_proxy", "serve", "-c", str(folder / "config.toml")], log=folder / "log")
    os.environ.pop("SSL_CERT_FILE", None)
    try:
        wait_until_ready(f"http://127.0.0.1:{place.port}/readyz", subject)
        yield SimpleNamespace(
            pid=subject.pid, url=f"http://127.0.0.1:{place.port}/v1", secrets=place.secrets, folder=folder,
            start_seconds=time.monotonic() - begun,
        )  # fmt: skip
    finally:
        subject.stop()


def wait_until_ready(url: str, subject: Subject) -> None:
    """Poll until the URL answers 200."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if subject.process.poll() is not None:
            raise RuntimeError(f"the gateway ended at its start: {subject.read_log()}")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the gateway did not become ready")


def chat_body(size_bytes: int, *, stream: bool = False, directive: str = "") -> bytes:
    """A chat request of about this many bytes."""
    body = {
        "model": "bench-model",
        "messages": [
            {"role": "system", "content": "You are a bench."},
            {"role": "user", "content": ""},
        ],
        "max_tokens": 256,
    }
    if stream:
        body["stream"] = True
    empty = len(json.dumps(body, separators=(",", ":")))
    filler = "x" * max(0, size_bytes - empty - len(directive))
    body["messages"][1]["content"] = filler + directive  # type: ignore[index]
    return json.dumps(body, separators=(",", ":")).encode()
