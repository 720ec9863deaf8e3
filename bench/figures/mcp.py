"""What a tool call costs on its way through the gateway: the same call to the same server, directly and through it.

Both run in one go, in alternating stretches on kept-alive connections, so that whatever else the machine does falls on
both. Server, gateway and client are processes of their own. The client is raw HTTP: an SDK's own time would hide ours.
"""

import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from bench.figure import Figure
from bench.load import percentile
from tests.support.gateway import RunningGateway

MAX_OVERHEAD_MS = 3.0
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
_PARAMS = {"name": "echo", "arguments": {"query": "open issues", "limit": 10}, "_meta": _META}
_BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": _PARAMS})
_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "echo",
}


def run(short: bool) -> list[Figure]:
    """The long form takes a minute."""
    stretches, calls, seconds = (2, 100, 0.5) if short else (10, 500, 4.0)
    with _upstream() as upstream:
        table = f'[[mcp.servers]]\nname = "tools"\nurl = "{upstream}"\nallow_private = true\nprice_per_call = "0.001"\n'
        with RunningGateway(table) as gateway:
            key = gateway.create_key(mcp={"enabled": True}, budget_usd="1000000", requests_per_minute=10**9)
            direct = Caller(upstream, "")
            through = Caller(f"{gateway.origin}/mcp/tools", key.secret)
            for caller in (direct, through):
                caller.call_often(50)
            times: dict[Caller, list[float]] = {direct: [], through: []}
            for _ in range(stretches):
                for caller in times:
                    times[caller] += caller.call_often(calls)
            rates = [
                _load(url, secret, seconds) for url, secret in ((upstream, ""), (through.url, key.secret))
            ]
    p50s = [statistics.median(taken) for taken in times.values()]
    p99s = [percentile(sorted(taken), 99) for taken in times.values()]
    overhead = round(p50s[1] - p50s[0], 3)
    return [
        Figure(name="a tool call directly, p50", bound=None, measured=round(p50s[0], 3), unit="ms", passed=True),
        Figure(name="a tool call through the gateway, p50", bound=None, measured=round(p50s[1], 3), unit="ms", passed=True),
        Figure(name="what the gateway adds, p50", bound=MAX_OVERHEAD_MS, measured=overhead, unit="ms", passed=overhead <= MAX_OVERHEAD_MS),
        Figure(name="what the gateway adds, p99", bound=None, measured=round(p99s[1] - p99s[0], 3), unit="ms", passed=True),
        Figure(name="32 clients at once, directly", bound=None, measured=round(rates[0]), unit="1/s", passed=True),
        Figure(name="32 clients at once, through the gateway", bound=None, measured=round(rates[1]), unit="1/s", passed=True),
    ]  # fmt: skip


class Caller:
    """One kept-alive connection."""

    def __init__(self, url: str, secret: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._path = parts.path
        self._headers = {**_HEADERS, **({"Authorization": f"Bearer {secret}"} if secret else {})}
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)

    def call(self) -> float:
        """Milliseconds. Raises RuntimeError for anything but a result."""
        begun = time.perf_counter()
        self._connection.request("POST", self._path, _BODY, self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        taken = (time.perf_counter() - begun) * 1000
        if answer.status != 200 or b'"content"' not in body:
            raise RuntimeError(f"the call was answered {answer.status}: {body[:200]!r}")
        return taken

    def call_often(self, times: int) -> list[float]:
        return [self.call() for _ in range(times)]


def _load(url: str, secret: str, seconds: float) -> float:
    """Calls a second with 32 clients that each call as fast as they are answered."""
    counts = [0] * 32
    deadline = time.monotonic() + seconds

    def work(number: int) -> None:
        caller = Caller(url, secret)
        while time.monotonic() < deadline:
            caller.call()
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


@contextmanager
def _upstream() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.mcp_upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
