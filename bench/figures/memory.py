"""What the gateway needs before and while it works: start time, idle memory, memory for each open stream."""

import asyncio
import os
import statistics
from types import SimpleNamespace

import aiohttp

from bench import subjects
from bench.client import exchange, make_request, read_readiness
from bench.figure import Figure
from bench.processes import cpu_seconds, rss_bytes

STREAMS = 1000
KEYS = 1000
MAX_IDLE_MIB = 80.0
MAX_STREAM_KIB = 64.0
MAX_START_SECONDS = 1.5
_OPENING_AT_ONCE = 50
_KEY: dict[str, object] = {
    "requests_per_minute": 1_000_000,
    "budget_usd": "1000",
    "max_parallel_requests": 5000,
}


def run(short: bool) -> list[Figure]:
    """Start `serve` several times with 1,000 keys, then hold streams open on it."""
    starts, processor, idle = [], [], []
    with subjects.fake_provider() as upstream:
        with subjects.gateway_folder(upstream, [_KEY] * KEYS) as place:
            for _ in range(3 if short else 6):
                with subjects.serving(place) as gateway:
                    starts.append(gateway.start_seconds)
                    processor.append(cpu_seconds(gateway.pid))
                    idle.append(rss_bytes(gateway.pid) / 2**20)
            with subjects.serving(place) as gateway:
                beside = asyncio.run(measure_admin_process(gateway)) / 2**20
        del starts[0], processor[0]  # the first one may have had to compile the modules
        with subjects.gateway(upstream, [_KEY]) as gateway:
            per_stream = asyncio.run(measure_streams(gateway, 300 if short else STREAMS)) / 1024
    start, memory = statistics.median(starts), max(idle)
    return [
        Figure(name="start to ready, 1,000 keys", bound=MAX_START_SECONDS, measured=round(start, 3), unit="s",
               passed=start <= MAX_START_SECONDS),
        Figure(name="start to ready, 1,000 keys, processor time", bound=MAX_START_SECONDS,
               measured=round(statistics.median(processor), 3), unit="s",
               passed=statistics.median(processor) <= MAX_START_SECONDS),
        Figure(name="idle memory, 1,000 keys", bound=MAX_IDLE_MIB, measured=round(memory, 1), unit="MiB",
               passed=memory <= MAX_IDLE_MIB),
        Figure(name="memory of the admin process beside it, once a page was asked for", bound=None,
               measured=round(beside, 1), unit="MiB", passed=True),
        Figure(name="memory for each open stream", bound=MAX_STREAM_KIB, measured=round(per_stream, 1), unit="KiB",
               passed=per_stream <= MAX_STREAM_KIB),
    ]  # fmt: skip


async def measure_admin_process(gateway: SimpleNamespace) -> float:
    """Resident bytes that the dashboard's process adds; it starts with the first page here."""
    before = rss_bytes(gateway.pid)
    origin = gateway.url.removesuffix("/v1")
    async with aiohttp.ClientSession() as client, client.get(f"{origin}/dashboard/sign-in") as answer:
        await answer.read()
        if answer.status >= 500:
            raise RuntimeError(f"the dashboard answered {answer.status}")
    return rss_bytes(gateway.pid) - before


async def measure_streams(gateway: SimpleNamespace, count: int) -> float:
    """Resident bytes for each of `count` streams that are all open and have had their first token."""
    asked = b"[[fake: delay_ms=%d tokens=%d]]"
    quick = subjects.chat_body(1000, stream=True, directive=(asked % (1, 3)).decode())
    for _ in range(30):
        await exchange(gateway.url, make_request(gateway.url, gateway.secrets[0], quick))
    before = rss_bytes(gateway.pid)
    slow = subjects.chat_body(1000, stream=True, directive=(asked % (1000, 8)).decode())
    request = make_request(gateway.url, gateway.secrets[0], slow)
    running: list[asyncio.Task[object]] = []
    try:
        for begin in range(0, count, _OPENING_AT_ONCE):
            running += [
                asyncio.create_task(exchange(gateway.url, request))
                for _ in range(min(_OPENING_AT_ONCE, count - begin))
            ]
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.5)  # every stream has had a token or two
        open_now = read_readiness(gateway.url)["running"]
        if open_now != count or any(task.done() for task in running):
            raise RuntimeError(
                f"{open_now} of {count} streams are open (descriptors: ulimit -n, pid {os.getpid()})"
            )
        return (rss_bytes(gateway.pid) - before) / count
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
