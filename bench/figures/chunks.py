"""Nothing is left behind: memory, descriptors and connections over many streamed chunks, a tenth of the clients hanging up."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from bench import subjects
from bench.client import count_descriptors, count_threads, exchange, make_request, read_readiness
from bench.figure import Figure
from bench.load import Load, run_load
from bench.processes import rss_bytes

CHUNKS = 1_000_000
SHORT_CHUNKS = 30_000
TOKENS = 100
CLIENTS = 64
LEAVING = 0.1
MAX_GROWTH_PERCENT = 5.0
_WARMUP = 0.2  # of all chunks
_WARMUP_REQUESTS = 6000  # by then the store's page cache is full, which is bounded but not small
_IDLE_SECONDS = 40.0  # unused connections are closed after 30
_KEYS: list[dict[str, object]] = [{"budget_usd": "100000"}, {"requests_per_minute": 10_000_000}]


@dataclass
class Tally:
    """What the clients saw so far."""

    chunks: int = 0
    whole: int = 0
    left: int = 0
    strange: list[str] = field(default_factory=list)


def run(short: bool) -> list[Figure]:
    """Half of the clients use a key with a budget, so what is left behind by them is drained, by the others cut."""
    with subjects.fake_provider() as upstream, subjects.gateway(upstream, _KEYS) as gateway:
        if not short:
            headers = {"authorization": f"Bearer {gateway.secrets[0]}"}
            url = gateway.url + "/chat/completions"
            run_load(
                Load(url, subjects.chat_body(300), headers, connections=CLIENTS, requests=_WARMUP_REQUESTS)
            )
        return asyncio.run(measure(gateway, SHORT_CHUNKS if short else CHUNKS))


async def measure(gateway: SimpleNamespace, chunks: int) -> list[Figure]:
    """Warm up, note what the process holds, go on to `chunks`, and look again when all is quiet."""
    tally = Tally()
    fresh = count_descriptors(gateway.pid)
    await stream_until(gateway, tally, int(chunks * _WARMUP))
    quiet = await wait_until_idle(gateway)
    before, threads = rss_bytes(gateway.pid), count_threads(gateway.pid)
    await stream_until(gateway, tally, chunks)
    await wait_until_idle(gateway)
    after, threads_after = rss_bytes(gateway.pid), count_threads(gateway.pid)
    growth = 100 * (after - before) / before
    state = read_readiness(gateway.url)
    provider = state["providers"]["fake"]
    await asyncio.sleep(0.5)  # the connection that asked is closed on the other side too
    # What is open beyond the start: warm connections to the provider.
    left = count_descriptors(gateway.pid) - fresh - provider["idle"]
    lost = state["running"] + provider["in_use"] + provider["waiting"]
    lost += max(0, state["tasks"] - quiet["tasks"]) + max(0, threads_after - threads)
    print(f"{tally.whole} whole, {tally.left} left, {before / 2**20:.1f} -> {after / 2**20:.1f} MiB")
    return [
        Figure(name=f"memory growth over {tally.chunks} streamed chunks after the warm-up", bound=MAX_GROWTH_PERCENT,
               measured=round(growth, 2), unit="%", passed=abs(growth) <= MAX_GROWTH_PERCENT),
        Figure(name="exchanges, connections in use, tasks and threads left", bound=0, measured=lost, unit="", passed=lost == 0),
        Figure(name="descriptors left", bound=0, measured=max(0, left), unit="", passed=left <= 0),
        Figure(name="answers that were neither whole nor left by us", bound=0, measured=len(tally.strange), unit="answers",
               passed=not tally.strange and tally.left > 0),
    ]  # fmt: skip


async def stream_until(gateway: SimpleNamespace, tally: Tally, chunks: int) -> None:
    """Streams from CLIENTS clients at once until so many chunks have been read in all."""
    body = subjects.chat_body(1000, stream=True, directive=f"[[fake: delay_ms=2 tokens={TOKENS}]]")
    requests = [make_request(gateway.url, secret, body) for secret in gateway.secrets]
    await asyncio.gather(
        *(
            _stream_on(gateway, requests[i % len(requests)], tally, chunks, random.Random(i))
            for i in range(CLIENTS)
        )
    )


async def _stream_on(
    gateway: SimpleNamespace, request: bytes, tally: Tally, chunks: int, chance: random.Random
) -> None:
    while tally.chunks < chunks:
        leave_after = chance.randrange(1, TOKENS) if chance.random() < LEAVING else None
        answer = await exchange(gateway.url, request, leave_after=leave_after)
        tally.chunks += answer.chunks
        if answer.left:
            tally.left += 1
        elif answer.status == 200 and answer.is_whole:
            tally.whole += 1
        else:
            tally.strange.append(f"{answer.status} {answer.body[-200:]!r}")


async def wait_until_idle(gateway: SimpleNamespace) -> dict[str, Any]:
    """Returns when nothing runs any more. Raises RuntimeError if that never comes."""
    deadline = time.monotonic() + _IDLE_SECONDS
    while time.monotonic() < deadline:
        state = read_readiness(gateway.url)
        if not state["running"] and not state["providers"]["fake"]["in_use"]:
            await asyncio.sleep(1.0)  # the books are written twice a second
            return state
        await asyncio.sleep(0.1)
    raise RuntimeError(f"exchanges are still running: {read_readiness(gateway.url)}")
