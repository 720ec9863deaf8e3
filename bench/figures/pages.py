"""Pages of the dashboard over a large store: each filter of the log, the lists of keys, the overview, usage.

The store is filled in bulk: requests of 30 days, some filters rare and some combinations that never meet. What is
measured is the whole answer of the dashboard, from the request to the last byte of HTML.
"""

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.figure import Figure
from bench.load import percentile
from dashboard import mount
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.services import build_admin
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage import open_store

LONG = (10_000_000, 100_000, 20)  # requests in the log, keys, visits of each page
SHORT = (100_000, 10_000, 5)
MAX_LOG_MS = 300.0
MAX_KEYS_MS = 200.0
DAYS = 30
MINUTE_MS, STEP_MS, HOUR_MS, DAY_MS = 60_000, 300_000, 3_600_000, 86_400_000
KEYS_IN_USE = 1000
OWNERS = 50

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
_OTHERS = {
    "overview of a day": "",
    "overview of 30 days": "?range=30d",
    "usage of 30 days by model": "/usage?by=model",
    "usage of 30 days by key": "/usage?by=key",
}


def run(short: bool) -> list[Figure]:
    """Fills a store and visits the pages."""
    rows, keys, visits = SHORT if short else LONG
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder) / "gateway.db", rows, keys, visits))


async def _measure(path: Path, rows: int, keys: int, visits: int) -> list[Figure]:
    clock = Clock()
    store = await open_store(f"sqlite:{path}", migrate=True, clock=clock)
    await asyncio.to_thread(fill, path, rows, keys, clock.now_ms())
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
                figures.append(_figure(f"log, first page, {name}, {size}", MAX_LOG_MS, measured))
            for name, query in KEYS.items():
                measured = await _visit(client, f"/dashboard/configuration/api-keys{query}", visits)
                figures.append(_figure(f"keys, {name}, {keys:,} keys", MAX_KEYS_MS, measured))
            for name, path_and_query in _OTHERS.items():
                measured = await _visit(client, f"/dashboard{path_and_query}", max(3, visits // 4))
                figures.append(_figure(f"{name}, {size}", None, measured))
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


def fill(path: Path, rows: int, keys: int, now_ms: int) -> None:
    """Requests, their roll-ups and keys, as the books would have written them."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    connection.execute("BEGIN")
    try:
        _fill_log(connection, rows, now_ms)
        _fill_roll_ups(connection)
        _fill_keys(connection, keys, now_ms)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _fill_log(connection: sqlite3.Connection, rows: int, now_ms: int) -> None:
    """Evenly over the days. `h` scatters the number of a row, so that columns do not follow each other."""
    start = now_ms - DAYS * DAY_MS
    connection.execute(
        f"""
        WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {rows} - 1),
        f AS (SELECT n, {start} + n * {DAYS * DAY_MS} / {rows} AS at, (n * 2654435761) % 4294967296 AS h FROM s),
        g AS (
            SELECT n, at, h, h % {KEYS_IN_USE} AS k,
                CASE WHEN n % 1000003 = 17 THEN 413 WHEN h / 7 % 100 = 1 THEN 429 WHEN h / 7 % 200 = 2 THEN 504 ELSE 200 END AS status
            FROM f
        )
        INSERT INTO request_log (request_id, seq, at, gateway_id, organization, key_id, key_name, owner, metadata_json,
            client_ip, client_request_id, trace_id, method, path, operation, model, provider, status, error_code, outcome,
            admitted, stream, attempts, input_tokens, output_tokens, cost_nanos, latency_ms, first_byte_ms)
        SELECT printf('req_%026d', n), n + 1, at, 'gtw_1', 'default',
            CASE WHEN n % 2000003 = 5 THEN 'key_rare' ELSE 'key_bench_' || k END, 'bench ' || k,
            'owner' || (k % {OWNERS}) || '@example.com', '{{"team":"backend"}}', '10.0.0.' || (h % 250), '',
            printf('%032x', h), 'POST', '/v1/chat/completions', 'chat',
            CASE WHEN n % 1000003 = 11 THEN 'model-rare' WHEN k <> 7 AND h / 11 % 10 = 3 THEN 'model-lonely'
                ELSE 'model-' || ((k + h / 13 % 3) % 20) END,
            'provider-' || ((k + h / 13 % 3) % 5), status,
            CASE status WHEN 413 THEN 'body_too_large' WHEN 429 THEN 'rate_limit_exceeded' WHEN 504 THEN 'upstream_timeout' ELSE '' END,
            CASE status WHEN 200 THEN 'completed' WHEN 504 THEN 'upstream_failed' ELSE 'denied' END,
            status IN (200, 504), 1, status IN (200, 504), 800 + h % 3000, 100 + h % 700, 1000000 + h % 9000000,
            200 + h % 9000, 100 + h % 900
        FROM g
        """
    )
    connection.execute("UPDATE counters SET value = ? WHERE name = 'request_log'", (rows,))


def _fill_roll_ups(connection: sqlite3.Connection) -> None:
    for field in ("key_id", "owner", "model", "provider", "status", "error_code", "organization"):
        connection.execute(
            "INSERT INTO request_log_minutes (field, value, minute)"
            f" SELECT DISTINCT '{field}', CAST({field} AS TEXT), at / {MINUTE_MS} FROM request_log ORDER BY 2, 3"
        )
    connection.execute(
        "INSERT INTO usage_hourly (hour, organization, key_id, owner, provider, model, requests, errors, denied, input_tokens,"
        f" cached_tokens, output_tokens, cost_nanos, latency_ms) SELECT at / {HOUR_MS}, organization, key_id, owner, provider,"
        " model, SUM(admitted), SUM(status = 504), SUM(1 - admitted), SUM(input_tokens), 0, SUM(output_tokens),"
        " SUM(cost_nanos), SUM(latency_ms) FROM request_log GROUP BY 1, 2, 3, 4, 5, 6"
    )
    for owner in ("owner", "'*'"):
        connection.execute(
            "INSERT INTO timeline (step_ms, organization, owner, start_at, requests, errors, denied, input_tokens,"
            f" output_tokens, cost_nanos) SELECT {STEP_MS}, organization, {owner}, at / {STEP_MS} * {STEP_MS},"
            " SUM(admitted), SUM(status = 504), SUM(1 - admitted), SUM(input_tokens), SUM(output_tokens), SUM(cost_nanos)"
            f" FROM request_log GROUP BY 2, 3, 4"
        )
        connection.execute(
            "INSERT INTO timeline_latency (step_ms, organization, owner, start_at, bucket, requests)"
            f" SELECT {STEP_MS}, organization, {owner}, at / {STEP_MS} * {STEP_MS}, 20 + latency_ms / 400, COUNT(*)"
            " FROM request_log GROUP BY 2, 3, 4, 5"
        )


def _fill_keys(connection: sqlite3.Connection, keys: int, now_ms: int) -> None:
    series = f"WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {keys} - 1)"
    connection.execute(
        f"{series} INSERT INTO keys (id, organization, name, search, owner, owner_id, kind, parent_id, preview, created_at,"
        " expires_at, inactive, revoked_at, revision, policy_json) SELECT 'key_bench_' || n, 'default', 'Bench ' || n,"
        f" 'bench ' || n || char(10) || 'gwk_' || printf('%04x', n % 65536), 'owner' || (n % {OWNERS}) || '@example.com', '',"
        " 'key', NULL, printf('gwk_%04x…wxyz', n % 65536),"
        f" {now_ms} - n * 1000, CASE WHEN n % 9 = 0 THEN {now_ms} - 1000 END, n % 7 = 0, CASE WHEN n % 50 = 0 THEN {now_ms} - 5 END, 1,"
        " '{}' FROM s"
    )
    connection.execute(
        f"{series} INSERT INTO key_stats (key_id, organization, owner, requests, last_used_at, reserved_nanos, spent_nanos)"
        f" SELECT 'key_bench_' || n, 'default', 'owner' || (n % {OWNERS}) || '@example.com', (n * 2654435761) % 100000,"
        f" {now_ms} - n, 0, n * 1000 FROM s"
    )
