"""What a tool call costs on its way through the gateway: the same call to the same server, directly and through it.

All run in one go, in alternating rounds on kept-alive connections, so that whatever else the machine does falls on
all; medians of the rounds. With GATEWAY_BENCH_BESIDE=1 FastMCP's proxy is measured beside the gateway: `./run bench` installs
it from requirements/mcp-proxy.txt. Server, gateway and client are processes of their own. The client is raw HTTP: an SDK's own time would hide ours.
"""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench.figure import ROOT, Figure
from bench.load import percentile
from bench.processes import cpu_seconds
from tests.support.gateway import RunningGateway

MAX_OVERHEAD_MS = 3.0
BESIDE_VARIABLE = "GATEWAY_BENCH_BESIDE"
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
    """The long form takes a minute, two with the proxy."""
    rounds, calls, seconds = (2, 100, 0.5) if short else (10, 500, 4.0)
    with ExitStack() as stack:
        upstream = stack.enter_context(_upstream())
        table = f'[[mcp.servers]]\nname = "tools"\nurl = "{upstream}"\nallow_private = true\nprice_per_call = "0.001"\n'
        gateway = stack.enter_context(RunningGateway(table))
        key = gateway.create_key(mcp={"enabled": True}, budget_usd="1000000", requests_per_minute=10**9)
        direct = Contender("directly", upstream, "", None, calls)
        ours = Contender("through the gateway", f"{gateway.origin}/mcp/tools", key.secret, gateway.pid, calls)
        contenders = [direct, ours]
        if os.environ.get(BESIDE_VARIABLE):
            url, pid = stack.enter_context(_proxy(upstream))
            contenders.append(Contender("through FastMCP's proxy", url, "", pid, max(calls // 5, 20)))
        for contender in contenders:
            contender.caller.call_often(50)
        for _ in range(rounds):
            for contender in contenders:
                contender.take_round()
        rates = [_load(contender.caller, seconds) for contender in contenders]
    overhead = round(ours.p50_ms - direct.p50_ms, 3)
    return [
        Figure(name="what the gateway adds, p50", bound=MAX_OVERHEAD_MS, measured=overhead, unit="ms", passed=overhead <= MAX_OVERHEAD_MS),
        *(figure for contender, rate in zip(contenders, rates, strict=True) for figure in contender.describe(rate)),
    ]  # fmt: skip


class Contender:
    """One way to the server. `pid` is of the process in between; the CPU time is its own."""

    def __init__(self, name: str, url: str, secret: str, pid: int | None, calls: int) -> None:
        self.caller = Caller(url, secret)
        self._name = name
        self._pid = pid
        self._calls = calls
        self._p50s: list[float] = []
        self._p95s: list[float] = []
        self._cpu_ms: list[float] = []

    def take_round(self) -> None:
        before = cpu_seconds(self._pid) if self._pid else 0.0
        times = sorted(self.caller.call_often(self._calls))
        spent = cpu_seconds(self._pid) - before if self._pid else 0.0
        self._p50s.append(percentile(times, 50))
        self._p95s.append(percentile(times, 95))
        self._cpu_ms.append(spent * 1000 / self._calls)

    @property
    def p50_ms(self) -> float:
        """The median of the rounds."""
        return statistics.median(self._p50s)

    def describe(self, rate: float) -> list[Figure]:
        found = [
            (f"a tool call {self._name}, p50", round(self.p50_ms, 3), "ms"),
            (f"a tool call {self._name}, p95", round(statistics.median(self._p95s), 3), "ms"),
            (f"CPU time in between of a tool call {self._name}", round(statistics.median(self._cpu_ms), 3), "ms"),
            (f"32 clients at once, {self._name}", round(rate), "1/s"),
        ]  # fmt: skip
        return [
            Figure(name=name, bound=None, measured=measured, unit=unit, passed=True)
            for name, measured, unit in found
            if self._pid or not name.startswith("CPU")
        ]


class Caller:
    """One kept-alive connection."""

    def __init__(self, url: str, secret: str) -> None:
        self.url = url
        self.secret = secret
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


def _load(like: Caller, seconds: float) -> float:
    """Calls a second with 32 clients that each call as fast as they are answered."""
    counts = [0] * 32
    deadline = time.monotonic() + seconds

    def work(number: int) -> None:
        caller = Caller(like.url, like.secret)
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


@contextmanager
def _proxy(upstream: str) -> Iterator[tuple[str, int]]:
    """URL and pid. Raises RuntimeError if it is not installed or does not start."""
    python = Path(sys.prefix) / "mcp-proxy" / "bin" / "python"
    if not python.exists():
        raise RuntimeError(f"{python} is missing: {BESIDE_VARIABLE}=1 ./run bench mcp makes it")
    process = subprocess.Popen(
        [python, "bench/mcp_proxy.py", upstream],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        _wait_until_open(url)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def _wait_until_open(url: str) -> None:
    parts = urlsplit(url)
    deadline = time.monotonic() + 60
    while parts.port:
        try:
            socket.create_connection((str(parts.hostname), parts.port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
    raise RuntimeError("the proxy did not start")
