"""People at the dashboard beside the data plane: how much slower its slowest requests are while pages are opened.

One gateway over a large store. An open-loop load runs in stretches, by turns without and with five page opens a second, so that
whatever else the machine does falls on both. Load generator, provider, gateway and admin process share the machine: where
its cores cannot bear the rate, it is lowered, and the figure's name says to what. GATEWAY_BENCH_RATE asks for another one.
The visitors, who would sit at machines of their own, compute only while a core is idle.
"""

import asyncio
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from bench import subjects
from bench.figure import Figure
from bench.filling import fill
from bench.load import percentile
from bench.processes import main_thread_seconds
from tests.support.sign_in import make_session

MAX_MOVE_MS = 2.0
PAGES_PER_SECOND = 5.0
RATE_VARIABLE = "GATEWAY_BENCH_RATE"
_BEARABLE = 0.6  # of what the machine does when it does nothing else
_CONNECTIONS = 64
PAGES = (
    "/logs", "", "/logs?model=model-1", "?range=30d", "/configuration/api-keys", "/logs?status=errors", "/usage?by=model",
    "/logs?key=key_bench_5", "/usage?by=key", "?range=1h",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How large, and how long: `stretches` with pages and as many without, of `seconds` each."""

    rows: int
    keys: int
    rate: float
    stretches: int
    seconds: float


LONG = Size(rows=10_000_000, keys=100_000, rate=1000, stretches=6, seconds=10)
SHORT = Size(rows=30_000, keys=200, rate=100, stretches=1, seconds=2)


def run(short: bool) -> list[Figure]:
    """The long form takes five minutes and 7 GiB of temporary disk, most of it for filling the store."""
    size = SHORT if short else LONG
    with subjects.fake_provider() as upstream, subjects.gateway_folder(upstream, [{}]) as place:
        asyncio.run(fill(place.folder / "gateway.db", size.rows, size.keys, time.time_ns() // 1_000_000))
        cookie = asyncio.run(
            make_session(place.folder / "config.toml", "bench@example.com", "owner", "default")
        )
        with subjects.serving(place) as gateway:
            visitor = Visitor(gateway, cookie)
            visitor.open_all()
            return [_cost_of_a_page(gateway, visitor, size), *_measure(gateway, visitor, size, short)]


def _measure(gateway: SimpleNamespace, visitor: "Visitor", size: Size, short: bool) -> list[Figure]:
    rate = float(os.environ.get(RATE_VARIABLE, size.rate))
    most = rate / _BEARABLE if short else _load(gateway, size.seconds)["requests_per_second"]
    if rate > most * _BEARABLE:
        print(
            f"     (this machine does {most:.0f} requests/s at most, so {rate:.0f} are lowered)", flush=True
        )
        rate = float(int(most * _BEARABLE))
    alone, beside = [], []
    for _ in range(size.stretches):
        alone.append(_load(gateway, size.seconds, rate))
        with visitor:
            beside.append(_load(gateway, size.seconds, rate))
    p99_alone, p99_beside = (
        statistics.median(stretch["latency_ms"]["p99"] for stretch in stretches)
        for stretches in (alone, beside)
    )
    answered = sum(stretch["statuses"].get("200", 0) for stretch in alone + beside)
    lost = sum(sum(s["statuses"].values()) + sum(s["errors"].values()) for s in alone + beside) - answered
    achieved = statistics.mean(stretch["requests_per_second"] for stretch in beside)
    p50_ms = statistics.median(stretch["latency_ms"]["p50"] for stretch in beside)
    print(f"     (p50 {p50_ms:.2f} ms; p99 alone {_p99s(alone)}, beside {_p99s(beside)})", flush=True)
    opened = sorted(visitor.took)
    wanted = PAGES_PER_SECOND * size.seconds * size.stretches
    move = round(p99_beside - p99_alone, 2)
    at = f"{rate:.0f} requests/s ({achieved:.0f} achieved), {size.rows:,} log rows, 5 page opens/s"
    return [
        Figure(name=f"p99 alone, {at}", bound=None, measured=round(p99_alone, 2), unit="ms", passed=True),
        Figure(name=f"p99 moved by, {at}", bound=MAX_MOVE_MS, measured=move, unit="ms", passed=move <= MAX_MOVE_MS),
        Figure(name="data plane's answers other than 200", bound=0, measured=lost, unit="answers", passed=lost == 0),
        Figure(name="pages that were not shown", bound=0, measured=visitor.failed, unit="pages", passed=not visitor.failed),
        Figure(name="pages opened", bound=None, measured=len(opened), unit=f"of {wanted:.0f}", passed=short or len(opened) >= wanted / 2),
        Figure(name="a page beside the load, p95", bound=None, measured=round(percentile(opened, 95)), unit="ms", passed=True),
    ]  # fmt: skip


def _cost_of_a_page(gateway: SimpleNamespace, visitor: "Visitor", size: Size) -> Figure:
    """What a page takes of the event loop that streams: without load, and without what the loop does anyway."""
    begun, before = time.monotonic(), main_thread_seconds(gateway.pid)
    time.sleep(size.seconds / 2)
    idle = (main_thread_seconds(gateway.pid) - before) / (time.monotonic() - begun)
    begun, before = time.monotonic(), main_thread_seconds(gateway.pid)
    for _ in range(size.stretches):
        visitor.open_all()
    spent = main_thread_seconds(gateway.pid) - before - idle * (time.monotonic() - begun)
    cost_ms = round(spent * 1000 / size.stretches / len(PAGES), 2)
    return Figure(
        name="a page's time in the data plane's loop", bound=None, measured=cost_ms, unit="ms", passed=True
    )


class Visitor:
    """Opens pages at a steady pace while it is entered; each on a connection of its own, as fast as they come."""

    def __init__(self, gateway: SimpleNamespace, cookie: str) -> None:
        self._address = urlsplit(gateway.url)
        self._cookie = cookie
        self._ended = threading.Event()
        self._thread = threading.Thread()
        self._opening: list[threading.Thread] = []
        self.took: list[float] = []
        self.failed = 0

    def open_all(self) -> None:
        """Every page once, uncounted: it starts the admin process and compiles the templates."""
        for page in PAGES:
            self._open(page)
        if self.failed:
            raise RuntimeError("the dashboard does not show its pages")
        self.took.clear()

    def __enter__(self) -> None:
        self._ended.clear()
        self._thread = threading.Thread(target=self._visit)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for thread in self._opening:
            thread.join()
        self._opening.clear()

    def _visit(self) -> None:
        due = time.monotonic()
        for page in itertools.cycle(PAGES):
            thread = threading.Thread(target=self._open, args=(page,))
            thread.start()
            self._opening.append(thread)
            due += 1 / PAGES_PER_SECOND
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return

    def _open(self, page: str) -> None:
        if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # of this thread alone
        begun = time.perf_counter()
        connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=60)
        try:
            connection.request(
                "GET", f"/dashboard{page}", headers={"cookie": f"gateway_session={self._cookie}"}
            )
            answer = connection.getresponse()
            whole = answer.read().rstrip().endswith(b"</html>")
            self.failed += answer.status != 200 or not whole
        except OSError:
            self.failed += 1
        finally:
            connection.close()
        self.took.append((time.perf_counter() - begun) * 1000)


def _load(gateway: SimpleNamespace, seconds: float, rate: float | None = None) -> dict[str, Any]:
    """One stretch in a process of its own; without a rate as fast as it goes."""
    body = gateway.folder / "body.json"
    body.write_bytes(subjects.chat_body(1000))
    command = [
        sys.executable, "-m", "bench.load", f"{gateway.url}/chat/completions", "--body", str(body), "--seconds", str(seconds),
        "--header", f"authorization: Bearer {gateway.secrets[0]}", "--warmup-seconds", "0.3",
    ]  # fmt: skip
    command += (
        ["--connections", "8"]
        if rate is None
        else ["--connections", str(_CONNECTIONS), "--rate", str(rate), "--poisson"]
    )
    done = subprocess.run(
        command,
        cwd=subjects.ROOT,
        env=subjects.make_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return dict(json.loads(done.stdout))


def _p99s(stretches: list[dict[str, Any]]) -> str:
    return ", ".join(f"{stretch['latency_ms']['p99']:.1f}" for stretch in stretches)
