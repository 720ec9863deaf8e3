"""The fake provider as a subprocess, for tests: start it, give it orders, read its books, stop it.

    from tests.support.fake_provider import fake_provider, start_fake_provider  # both are fixtures

`fake_provider` is one provider for the test; `start_fake_provider(**options)` starts as many as are needed.
"""

import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.fake_provider.ledger import Entry, read_ledger, total_tokens

__all__ = ["Entry", "FakeProvider", "fake_provider", "read_ledger", "start_fake_provider", "total_tokens"]

_REPOSITORY = Path(__file__).resolve().parents[2]


class FakeProvider:
    """A running provider. `base_url` ends with /v1; `origin` is it without; `pid` its process.

    `ledger_path` is kept when given (it may hold the books of an earlier run), else a temporary file. Raises RuntimeError
    with the process's own words when it does not start.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        ledger_path: Path | None = None,
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        # A proxy set in the environment must not see loopback traffic.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if tls is not None:
            context = ssl.create_default_context(cafile=tls[0])
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)
        self._folder = tempfile.TemporaryDirectory(prefix="fake-provider-")
        self.ledger_path = ledger_path or Path(self._folder.name) / "ledger.jsonl"
        self.api_key = api_key
        command = [sys.executable, "-m", "gateway_proxy.fake_provider", "--port", str(port), "--parent-dies"]
        command += ["--ledger", str(self.ledger_path)]
        command += ["--api-key", api_key] if api_key is not None else []
        command += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])] if tls is not None else []
        self._errors_path = Path(self._folder.name) / "stderr"
        with self._errors_path.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        if not line.startswith("listening on "):
            errors_text = self._errors_path.read_text()
            self.stop()
            raise RuntimeError(f"the fake provider did not start: {line}{errors_text}")
        self.origin = line.removeprefix("listening on ").strip()
        self.base_url = self.origin + "/v1"
        self.port = int(self.origin.rsplit(":", 1)[1])

    def ledger(self) -> list[Entry]:
        """All accepted requests so far, with their bills."""
        return read_ledger(self.ledger_path)

    def settled_ledger(self, timeout_seconds: float = 10.0) -> list[Entry]:
        """The ledger once nothing is running any more, so that every entry is billed. Raises TimeoutError."""
        if not self._ask(f"/__idle?timeout={timeout_seconds}", timeout_seconds=timeout_seconds + 5)["idle"]:
            raise TimeoutError(f"requests still run after {timeout_seconds} s")
        return self.ledger()

    def set_mode(self, mode: str = "honest", *, times: int | None = None, **parameters: object) -> None:
        """Orders for requests without a directive of their own, `times` of them or all. Raises ValueError if malformed."""
        orders = {"mode": mode, **parameters, **({} if times is None else {"times": times})}
        answer = self._ask("/__mode", json.dumps(orders).encode())
        if "error" in answer:
            raise ValueError(answer["error"]["message"])

    def stats(self) -> dict[str, Any]:
        """The counters (gateway_proxy.fake_provider.service.Stats), and `monotonic`, its clock now."""
        return self._ask("/__stats")

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing more is written. The ledger stays readable until `stop`."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; may be called again."""
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()

    def __enter__(self) -> "FakeProvider":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def errors(self) -> str:
        """What it wrote to stderr: nothing, unless it has a bug."""
        return self._errors_path.read_text()

    def _ask(self, path: str, body: bytes | None = None, timeout_seconds: float = 10.0) -> dict[str, Any]:
        request = urllib.request.Request(self.origin + path, data=body)
        try:
            with self._opener.open(request, timeout=timeout_seconds) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)


@pytest.fixture
def start_fake_provider() -> Iterator[Callable[..., FakeProvider]]:
    """`start_fake_provider(api_key=…)` starts another one; all stop after the test."""
    started: list[FakeProvider] = []

    def start(**options: Any) -> FakeProvider:
        started.append(FakeProvider(**options))
        return started[-1]

    yield start
    for provider in started:
        provider.stop()


@pytest.fixture
def fake_provider() -> Iterator[FakeProvider]:
    """One provider for this test."""
    provider = FakeProvider()
    yield provider
    provider.stop()
