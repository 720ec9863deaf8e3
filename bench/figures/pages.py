"""Pages of the dashboard over a large store: each filter of the log, the lists of keys, the overview, usage.

The store is filled in bulk (`bench/filling.py`). What is
measured is the whole answer of the dashboard, from the request to the last byte of HTML.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.figure import Figure
from bench.filling import fill
from bench.load import percentile
from dashboard.app import mount
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.services import build_admin
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage import open_store

LONG = (10_000_000, 100_000, 20)  # requests in the log, keys, visits of each page
SHORT = (100_000, 10_000, 5)
MAX_BOOKS_MS = 300.0
MAX_KEYS_MS = 200.0

LOGS = {
    "no filter": "",
    "a frequent key": "?key=key_bench_5",
    "a rare key": "?key=key_rare",
    "an unknown key": "?key=key_none",
    "an owner": "?owner=owner5@example.com",
    "a frequent model": "?model=model-1",
    "a rare model": "?model=model-rare",
    "a provider": "?provider=provider-1",
    "status 200": "?status=200",
    "status 429": "?status=429",
    "a rare status": "?status=413",
    "errors": "?status=errors",
    "an error code": "?error=upstream_timeout",
    "a rare error code": "?error=body_too_large",
    "a day": "?range=24h",
    "a day of long ago": "?range=custom&from={long_ago}T00:00&to={long_ago}T23:59",
    "a key and a status": "?key=key_bench_7&status=504",
    "a key and a model that never meet": "?key=key_bench_7&model=model-lonely",
    "an owner, a model and errors": "?owner=owner9@example.com&model=model-2&status=errors",
}
KEYS = {
    "newest first": "?sort=created_at&order=desc",
    "by name": "?sort=name",
    "by owner": "?sort=owner",
    "by status": "?sort=status",
    "by requests": "?sort=requests&order=desc",
    "search": "?search=bench%20777",
    "search for nothing": "?search=zzzz",
    "inactive": "?status=inactive",
    "revoked, by name": "?status=revoked&sort=name",
}
OTHERS = {
    "overview of a day": "",
    "overview of 30 days": "?range=30d",
    "usage of 30 days by model": "/usage?by=model",
    "usage of 30 days by key": "/usage?by=key",
    "usage of 30 days by a field of the metadata": "/usage?by=metadata&field=team",
}


def run(short: bool) -> list[Figure]:
    """Fills a store and visits the pages."""
    rows, keys, visits = SHORT if short else LONG
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder) / "gateway.db", rows, keys, visits))


async def _measure(path: Path, rows: int, keys: int, visits: int) -> list[Figure]:
    clock = Clock()
    begun = time.monotonic()
    await fill(path, rows, keys, clock.now_ms())
    print(f"filled in {time.monotonic() - begun:.0f} s, {path.stat().st_size / 2**30:.2f} GiB", flush=True)
    store = await open_store(f"sqlite:{path}", clock=clock)
    actor = Actor(name="bench", role=Role.OWNER, organization="default", email="bench@example.com")
    runner = await _serve(build_admin(store, b"p" * 32, clock), actor)
    figures = []
    try:
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession(f"http://{host}:{port}") as client:
            long_ago = time.strftime("%Y-%m-%d", time.gmtime(clock.now_ms() / 1000 - 20 * 86_400))
            size = f"{rows:,} requests"
            for name, query in LOGS.items():
                measured = await _visit(client, f"/dashboard/logs{query.format(long_ago=long_ago)}", visits)
                figures.append(_figure(f"log, first page, {name}, {size}", MAX_BOOKS_MS, measured))
            for name, query in KEYS.items():
                measured = await _visit(client, f"/dashboard/configuration/api-keys{query}", visits)
                figures.append(_figure(f"keys, {name}, {keys:,} keys", MAX_KEYS_MS, measured))
            for name, path_and_query in OTHERS.items():
                measured = await _visit(client, f"/dashboard{path_and_query}", max(3, visits // 4))
                figures.append(_figure(f"{name}, {size}", MAX_BOOKS_MS, measured))
    finally:
        await runner.cleanup()
        await store.close()
    return figures


async def _serve(admin: Any, actor: Actor) -> web.AppRunner:
    @web.middleware
    async def sign_in(request: web.Request, handler: Any) -> web.StreamResponse:
        request["actor"] = actor
        answer: web.StreamResponse = await handler(request)
        return answer

    application = web.Application(middlewares=[sign_in])
    mount(application, "/dashboard", admin)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def _visit(client: aiohttp.ClientSession, address: str, visits: int) -> list[float]:
    """Milliseconds of each visit but the first, which compiles the template; a page that is not 200 raises."""
    took: list[float] = []
    for _ in range(visits + 1):
        begun = time.perf_counter()
        async with client.get(address) as answer:
            await answer.read()
            took.append((time.perf_counter() - begun) * 1000)
            if answer.status != 200:
                raise RuntimeError(f"{address} answered {answer.status}")
    return took[1:]


def _figure(name: str, bound: float | None, took: list[float]) -> Figure:
    measured = round(percentile(sorted(took), 95), 1)
    return Figure(
        name=f"{name}, p95",
        bound=bound,
        measured=measured,
        unit="ms",
        passed=bound is None or measured <= bound,
    )
