"""A lean load generator: raw asyncio protocols on uvloop, keep-alive connections, closed and open loops.

As a library: `result = run_load(Load(url=…, body=…, connections=8, seconds=5))`. As a command:
`python -m bench.load URL --connections 8 --seconds 5 [--rate 200 --poisson] [--stream] [--pid PID]`, which prints JSON.

Closed loop: each connection sends its next request when the last one is answered. Open loop (`rate`): requests start at their
appointed times whatever the server does, and latency counts from the appointment, so a stall is not hidden. What is measured and
judged with it does not belong here.
"""

import argparse
import asyncio
import dataclasses
import json
import math
import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools
import uvloop

from bench.processes import cpu_seconds, rss_bytes

_EVENT_MARK = b"data: "
_TIMER_SECONDS = 0.002
_CHAT = b'{"model":"fake-large","messages":[{"role":"user","content":"hello"}]}'
_CHAT_STREAM = (
    b'{"model":"fake-large","stream":true,"stream_options":{"include_usage":true},'
    b'"messages":[{"role":"user","content":"hello"}]}'
)


@dataclasses.dataclass(frozen=True)
class Load:
    """What to send. Ends after `requests` (sent) or `seconds` (of sending), whichever is first; one must be set.

    `rate` (a second) makes it an open loop, spaced evenly or by `poisson`, over at most `connections` connections: where all are
    busy the request waits for one, on the clock. `warmup_seconds` are run first and not counted. Http only.
    """

    url: str
    body: bytes = _CHAT
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    method: str = "POST"
    connections: int = 1
    seconds: float | None = None
    requests: int | None = None
    rate: float | None = None
    poisson: bool = False
    seed: int = 1
    warmup_seconds: float = 0.0
    timeout_seconds: float = 60.0


@dataclasses.dataclass
class Result:
    """What came back; times in seconds. `statuses` counts answers, `errors` by kind what was none.

    `chunks` counts `data:` events, `body_bytes` the bytes of all bodies. `latencies` and `first_bytes` (from the request, or its
    appointment in an open loop, to the first byte of the body) are sorted, one for each counted answer.
    """

    statuses: Counter[int] = dataclasses.field(default_factory=Counter)
    errors: Counter[str] = dataclasses.field(default_factory=Counter)
    latencies: list[float] = dataclasses.field(default_factory=list)
    first_bytes: list[float] = dataclasses.field(default_factory=list)
    chunks: int = 0
    body_bytes: int = 0
    elapsed: float = 0.0

    @property
    def answered(self) -> int:
        """Whole answers, whatever their status."""
        return sum(self.statuses.values())

    @property
    def requests_per_second(self) -> float:
        """Answers by the second."""
        return self.answered / self.elapsed if self.elapsed else 0.0

    def summary(self) -> dict[str, Any]:
        """Plain numbers for a report; times in milliseconds."""
        return {
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "elapsed_seconds": round(self.elapsed, 3),
            "requests_per_second": round(self.requests_per_second, 1),
            "latency_ms": _summarise(self.latencies),
            "first_byte_ms": _summarise(self.first_bytes),
            "chunks": self.chunks,
            "body_bytes": self.body_bytes,
        }


def percentile(ordered: list[float], percent: float) -> float:
    """The nearest-rank percentile of an ordered list; 0 for an empty one."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def run_load(load: Load) -> Result:
    """Run it to its end on a loop of its own. Raises OSError if the server cannot be reached at the start."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_load_async(load))


async def run_load_async(load: Load) -> Result:
    """The same on the running loop."""
    if load.seconds is None and load.requests is None:
        raise ValueError("set seconds or requests, else the load never ends")
    if load.warmup_seconds:
        await _Generator(dataclasses.replace(load, seconds=load.warmup_seconds, requests=None)).run()
    return await _Generator(load).run()


def _summarise(ordered: list[float]) -> dict[str, float]:
    values = {f"p{percent}": percentile(ordered, percent) for percent in (50, 90, 99)}
    values["max"] = ordered[-1] if ordered else 0.0
    return {name: round(value * 1000, 3) for name, value in values.items()}


class _Client(asyncio.Protocol):
    """One connection: one request at a time, the answer measured on its way in."""

    def __init__(self, generator: "_Generator") -> None:
        self._generator = generator
        self._busy = False
        self.alive = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.alive = True

    def send(self, started_at: float) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._busy, self._started_at, self._first_at, self._carry = True, started_at, 0.0, b""
        self._timeout = self._generator.loop.call_later(
            self._generator.load.timeout_seconds, self._fail, "timed out"
        )
        self._transport.write(self._generator.wire)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(type(error).__name__)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._fail(type(exc).__name__ if exc is not None else "closed early")

    def close(self) -> None:
        self._transport.abort()

    def on_body(self, body: bytes) -> None:
        if not self._first_at:
            self._first_at = time.perf_counter()
        result = self._generator.result
        result.body_bytes += len(body)
        # The carry is one byte shorter than the mark, so a mark across two reads counts once.
        result.chunks += (self._carry + body).count(_EVENT_MARK)
        self._carry = body[-len(_EVENT_MARK) + 1 :]

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        now = time.perf_counter()
        result = self._generator.result
        result.statuses[status] += 1
        result.latencies.append(now - self._started_at)
        result.first_bytes.append((self._first_at or now) - self._started_at)
        self._finish(self._parser.should_keep_alive())

    def _fail(self, kind: str) -> None:
        if self._busy:
            self._generator.result.errors[kind] += 1
            self._finish(False)

    def _finish(self, keep_alive: bool) -> None:
        self._busy = False
        self._timeout.cancel()
        if not keep_alive:
            self.alive = False
            self._transport.abort()
        self._generator.finish(self)


class _Generator:
    """Hands requests to idle connections until all are sent and answered."""

    def __init__(self, load: Load) -> None:
        parts = urlsplit(load.url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"{load.url}: the load generator speaks plain http only")
        self.load, self.result, self.loop = load, Result(), asyncio.get_running_loop()
        self._address = parts.hostname, parts.port or 80
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"{load.method} {target} HTTP/1.1",
            f"host: {parts.netloc}",
            f"content-length: {len(load.body)}",
        ]
        headers = {"content-type": "application/json", **load.headers}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.wire = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + load.body
        self._sent = self._in_flight = 0
        self._clients: set[_Client] = set()
        self._idle: deque[_Client] = deque()
        self._waiting: deque[float] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._appointments_left = load.rate is not None
        self._done = asyncio.Event()

    async def run(self) -> Result:
        for _ in range(self.load.connections):
            self._idle.append(await self._connect())
        started_at = time.perf_counter()
        self._ends_at = started_at + (float("inf") if self.load.seconds is None else self.load.seconds)
        if self.load.rate is None:
            for client in [self._idle.popleft() for _ in range(len(self._idle))]:
                self._offer(client)
        else:
            await self._keep_appointments(started_at, self.load.rate)
        await self._done.wait()
        self.result.elapsed = time.perf_counter() - started_at
        await asyncio.gather(*self._connecting)
        for client in self._clients:
            client.close()
        await asyncio.sleep(0)
        self.result.latencies.sort()
        self.result.first_bytes.sort()
        return self.result

    def finish(self, client: _Client) -> None:
        """A client's request is over, well or badly."""
        self._in_flight -= 1
        if client.alive:
            self._offer(client)
        else:
            self._replace(client)

    def _offer(self, client: _Client) -> None:
        """Give an idle client its next request, if there is one."""
        if self._waiting:
            self._start(client, self._waiting.popleft())
        elif self.load.rate is None and self._may_send(time.perf_counter()):
            self._sent += 1
            self._start(client, time.perf_counter())
        else:
            self._idle.append(client)
        self._notice_the_end()

    def _may_send(self, now: float) -> bool:
        return now < self._ends_at and (self.load.requests is None or self._sent < self.load.requests)

    def _start(self, client: _Client, started_at: float) -> None:
        self._in_flight += 1
        client.send(started_at)

    def _notice_the_end(self) -> None:
        still_connecting = self.load.rate is None and self._connecting and self._may_send(time.perf_counter())
        if not (self._in_flight or self._waiting or self._appointments_left or still_connecting):
            self._done.set()

    async def _keep_appointments(self, started_at: float, rate: float) -> None:
        spread = random.Random(self.load.seed)
        appointment = started_at
        while self._may_send(appointment):
            appointment += spread.expovariate(rate) if self.load.poisson else 1 / rate
            delay_seconds = appointment - time.perf_counter()
            if delay_seconds > 0:
                await asyncio.sleep(delay_seconds)
            self._sent += 1
            self._dispatch(appointment)
        self._appointments_left = False
        self._notice_the_end()

    def _dispatch(self, appointment: float) -> None:
        while self._idle:
            client = self._idle.popleft()
            if client.alive:
                now = time.perf_counter()
                # The loop's timer is only good to a millisecond: that much lateness is ours, not the server's.
                self._start(client, now if now - appointment < _TIMER_SECONDS else appointment)
                return
            self._replace(client)
        if self._clients or self._connecting:
            self._waiting.append(appointment)
        else:
            self.result.errors["no connection left"] += 1

    def _replace(self, client: _Client) -> None:
        self._clients.discard(client)
        task = self.loop.create_task(self._reconnect())
        self._connecting.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        if self._waiting and not self._clients and not self._connecting:
            self.result.errors["no connection left"] += len(self._waiting)
            self._waiting.clear()
        self._notice_the_end()

    async def _reconnect(self) -> None:
        """A connection that cannot be opened again is given up."""
        try:
            client = await self._connect()
        except OSError:
            self.result.errors["cannot connect"] += 1
        else:
            self._offer(client)

    async def _connect(self) -> _Client:
        _, client = await self.loop.create_connection(lambda: _Client(self), *self._address)
        self._clients.add(client)
        return client


def main() -> None:
    """Read the command line, run, print a JSON summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="for example http://127.0.0.1:8080/v1/chat/completions")
    parser.add_argument("--body", type=Path, help="a file; a small chat request otherwise")
    parser.add_argument("--stream", action="store_true", help="the small chat request as a stream")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--rate", type=float, help="requests a second: an open loop")
    parser.add_argument("--poisson", action="store_true")
    parser.add_argument("--warmup-seconds", type=float, default=0.0)
    parser.add_argument("--pid", type=int, help="report this process tree's CPU seconds and memory too")
    options = parser.parse_args()
    if options.seconds is None and options.requests is None:
        parser.error("give --seconds or --requests")
    headers = {
        name.strip(): value.strip() for name, _, value in (text.partition(":") for text in options.header)
    }
    body = options.body.read_bytes() if options.body else (_CHAT_STREAM if options.stream else _CHAT)
    load = Load(
        url=options.url,
        body=body,
        headers=headers,
        connections=options.connections,
        seconds=options.seconds,
        requests=options.requests,
        rate=options.rate,
        poisson=options.poisson,
        warmup_seconds=options.warmup_seconds,
    )
    before = cpu_seconds(options.pid) if options.pid else 0.0
    summary = run_load(load).summary()
    if options.pid:
        summary["cpu_seconds"] = round(cpu_seconds(options.pid) - before, 3)
        summary["rss_bytes"] = rss_bytes(options.pid)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
