"""Reloads under load: every good file is in force, every bad one changes nothing, and no request notices."""

import asyncio
import re
import time
from types import SimpleNamespace
from typing import Any

from bench import subjects
from bench.client import read_readiness
from bench.figure import Figure
from bench.load import Load, Result, percentile, run_load_async
from bench.processes import rss_bytes

RELOADS = 1000
SHORT_RELOADS = 30
MAX_GROWTH_PERCENT = 5.0
_WARMUP = 0.2  # of all reloads
_MIN_RATE = 0.9  # of the wanted one
_BAD_EVERY = 10
_RELOAD_SECONDS = 10.0
_BAD = ('unknown_table = 1\n', '[[models]]\nname = \n', '[[models]]\nname = "x"\ntargets = [{ provider = "gone" }]\n')  # fmt: skip


def run(short: bool) -> list[Figure]:
    """An open loop of requests while the file is replaced again and again."""
    with (
        subjects.fake_provider() as upstream,
        subjects.gateway(upstream, [dict(subjects.EVERY_RULE)]) as gateway,
    ):
        return asyncio.run(measure(gateway, SHORT_RELOADS if short else RELOADS, 200.0 if short else 500.0))


async def measure(gateway: SimpleNamespace, reloads: int, rate: float) -> list[Figure]:
    """`rate` requests a second until all reloads are through."""
    load = Load(
        url=gateway.url + "/chat/completions", body=subjects.chat_body(500), connections=100, rate=rate, seconds=2.0 if reloads < RELOADS else 10.0,
        headers={"authorization": f"Bearer {gateway.secrets[0]}"},
    )  # fmt: skip
    first = read_readiness(gateway.url)["config"]["revision"]
    text = (gateway.folder / "config.toml").read_text()
    stop = asyncio.Event()
    results: list[Result] = []

    async def keep_loading() -> None:
        while not stop.is_set():
            results.append(await run_load_async(load))

    loader = asyncio.create_task(keep_loading())
    warmup = int(reloads * _WARMUP)
    begun = time.monotonic()
    good = await asyncio.to_thread(reload_often, gateway, text, 0, warmup)
    before = rss_bytes(gateway.pid)
    good += await asyncio.to_thread(reload_often, gateway, text, warmup, reloads)
    growth = 100 * (rss_bytes(gateway.pid) - before) / before
    reload_ms = (time.monotonic() - begun) / reloads * 1000
    stop.set()
    await loader
    took = time.monotonic() - begun
    revision = read_readiness(gateway.url)["config"]["revision"]
    sent = sum(result.answered + sum(result.errors.values()) for result in results)
    failed = sent - sum(result.statuses[200] for result in results)
    latencies = sorted(latency for result in results for latency in result.latencies)
    p99_ms = percentile(latencies, 99) * 1000
    return [
        Figure(name=f"requests failed during {reloads} reloads", bound=0, measured=failed, unit="requests",
               passed=failed == 0),
        Figure(name="requests sent meanwhile, at least", bound=rate * _MIN_RATE, measured=round(sent / took, 1),
               unit="requests/s", passed=sent >= rate * took * _MIN_RATE),
        Figure(name="good files in force", bound=good, measured=revision - first, unit="revisions",
               passed=revision - first == good),
        Figure(name="memory growth over the reloads", bound=MAX_GROWTH_PERCENT, measured=round(growth, 2), unit="%",
               passed=growth <= MAX_GROWTH_PERCENT),
        Figure(name="one reload, from the file to its verdict", bound=None, measured=round(reload_ms, 1), unit="ms",
               passed=True),
        Figure(name="p99 of requests during reloads", bound=None, measured=round(p99_ms, 1), unit="ms", passed=True),
    ]  # fmt: skip


def reload_often(gateway: SimpleNamespace, text: str, begin: int, end: int) -> int:
    """Replace the file by variants of `text`, each when the last one is judged; returns how many were good. Raises TimeoutError."""
    path = gateway.folder / "config.toml"
    good = 0
    for number in range(begin, end):
        before = read_readiness(gateway.url)["config"]
        is_bad = number % _BAD_EVERY == _BAD_EVERY - 1
        if is_bad:
            changed = text + f"# {number}\n" + _BAD[number // _BAD_EVERY % len(_BAD)]
        else:
            good += 1
            changed = re.sub("max_output_tokens = .*", f"max_output_tokens = {5000 + number}", text)
        new = path.with_suffix(".new")
        new.write_text(changed)
        new.replace(path)
        wait_until_judged(gateway, before, is_bad)
    return good


def wait_until_judged(gateway: SimpleNamespace, before: dict[str, Any], is_bad: bool) -> None:
    """A good file is in force, a bad one is reported and has changed nothing. Raises TimeoutError."""
    deadline = time.monotonic() + _RELOAD_SECONDS
    while time.monotonic() < deadline:
        now = read_readiness(gateway.url)["config"]
        if is_bad and now["reload_error"] and now["revision"] == before["revision"]:
            return
        if not is_bad and now["revision"] == before["revision"] + 1 and not now["reload_error"]:
            return
        time.sleep(0.01)
    raise TimeoutError(f"the file was not judged: before {before}, now {now}")
