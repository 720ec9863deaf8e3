"""A store as thirty days of traffic would have left it, filled in bulk: the request log, its roll-ups, and many keys.

The oldest day is made request by request, and what the gateway's maintenance folds and carries of it is folded and carried
by the product's own code. The other days are that day again, later. Some values are rare, some combinations never meet.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_proxy.storage import open_store

DAYS = 30
KEYS_IN_USE = 1000
OWNERS = 50
_MINUTE_MS, _STEP_MS, _HOUR_MS, _DAY_MS = 60_000, 300_000, 3_600_000, 86_400_000
_A_DAY = {"at": _DAY_MS, "start_at": _DAY_MS, "minute": 1440, "hour": 24}
_FINE_DAYS = 3  # older steps of the timeline are hours
_FIELDS = ("key_id", "owner", "model", "provider", "status", "error_code", "organization")
_SUMS = (
    "requests",
    "errors",
    "denied",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "cost_nanos",
    "latency_ms",
)


async def fill(path: Path, rows: int, keys: int, now_ms: int) -> None:
    """Make the store `path` with so many requests and keys; about 0.6 GiB for each million of requests."""
    start = now_ms // _HOUR_MS * _HOUR_MS - DAYS * _DAY_MS
    per_day = rows // DAYS
    await (await open_store(f"sqlite:{path}", migrate=True)).close()
    await asyncio.to_thread(_fill_first_day, path, per_day, keys, start)
    store = await open_store(f"sqlite:{path}")
    try:
        await store.usage_sums.carry((start + _DAY_MS) // _HOUR_MS, hours=24)
        await store.timeline.fold(start + _DAY_MS)
    finally:
        await store.close()
    await asyncio.to_thread(_fill_other_days, path, per_day, start)


@contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # Nobody else has it open, and a file that is not finished is thrown away.
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "cache_size = -400000",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _fill_first_day(path: Path, rows: int, keys: int, start: int) -> None:
    with _connect(path) as connection:
        connection.execute(f"CREATE TEMP TABLE part AS {_requests(start, rows)}")
        for statement in _add_part():
            connection.execute(statement)
        for table in ("timeline", "timeline_latency"):
            _copy(connection, table, "start_at", range(DAYS - _FINE_DAYS, DAYS))
        _fill_keys(connection, keys, start + DAYS * _DAY_MS)


def _fill_other_days(path: Path, rows: int, start: int) -> None:
    days, end = range(1, DAYS), start + _DAY_MS
    last_hour = (start + DAYS * _DAY_MS) // _HOUR_MS - 1
    with _connect(path) as connection:
        _copy(connection, "request_log", "at", days, numbers=rows)
        _copy(connection, "request_log_minutes", "minute", days)
        _copy(connection, "usage_hourly", "hour", days)
        for table in ("timeline", "timeline_latency"):
            _copy(connection, table, "start_at", range(1, DAYS - _FINE_DAYS), where=f"start_at < {end}")
        connection.execute("DELETE FROM usage_sums WHERE step_hours = 24")
        _copy(connection, "usage_sums", "hour", days)
        connection.execute("DELETE FROM usage_sums WHERE hour = ?", (last_hour,))
        connection.execute(
            f"INSERT INTO usage_sums (step_hours, organization, field, owner, hour, value, {', '.join(_SUMS)})"
            " SELECT 24, organization, field, owner, hour / 24 * 24 AS day, value,"
            f" {', '.join(f'SUM({name})' for name in _SUMS)} FROM usage_sums GROUP BY organization, field, owner, day, value"
        )
        connection.execute("UPDATE counters SET value = ? WHERE name = 'usage_sums'", (last_hour,))
        connection.execute("UPDATE counters SET value = ? WHERE name = 'request_log'", (rows * DAYS,))
        # One key was used once, long ago.
        again = ", ".join(str(6 + day * rows) for day in days)
        connection.execute(f"UPDATE request_log SET key_id = 'key_bench_5' WHERE seq IN ({again})")
        connection.execute(
            "DELETE FROM request_log_minutes WHERE field = 'key_id' AND value = 'key_rare' AND minute >= ?",
            (end // _MINUTE_MS,),
        )


def _copy(
    connection: sqlite3.Connection,
    table: str,
    time: str,
    days: Iterable[int],
    *,
    where: str = "true",
    numbers: int = 0,
) -> None:
    """What the table has, once more for each of these later days; `numbers` is how far a day takes the numbers of requests."""
    info = connection.execute(f"PRAGMA table_info({table})").fetchall()
    columns = [row[1] for row in info]
    order = ", ".join(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5])
    connection.execute(f"CREATE TEMP TABLE pattern AS SELECT * FROM {table} WHERE {where} ORDER BY {order}")
    for day in days:
        later = {time: f"{time} + {day * _A_DAY[time]}"}
        if numbers:
            later |= {
                "request_id": f"printf('req_%026d', seq - 1 + {day * numbers})",
                "seq": f"seq + {day * numbers}",
            }
        selected = ", ".join(later.get(name, name) for name in columns)
        connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {selected} FROM pattern")
    connection.execute("DROP TABLE pattern")


def _requests(start: int, rows: int) -> str:
    """A day, evenly. `h` scatters the number of a row, so that columns do not follow each other."""
    return f"""
        WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {rows} - 1),
        f AS (SELECT n, {start} + n * {_DAY_MS} / {rows} AS at, (n * 2654435761) % 4294967296 AS h FROM s),
        g AS (
            SELECT n, at, h, h % {KEYS_IN_USE} AS k,
                CASE WHEN n = 17 THEN 413 WHEN h / 7 % 100 = 1 THEN 429 WHEN h / 7 % 200 = 2 THEN 504 ELSE 200 END AS status
            FROM f
        )
        SELECT n, h, k, at, 'default' AS organization,
            CASE WHEN n = 5 THEN 'key_rare' ELSE 'key_bench_' || k END AS key_id,
            'owner' || (k % {OWNERS}) || '@example.com' AS owner,
            CASE WHEN n = 11 THEN 'model-rare' WHEN k <> 7 AND h / 11 % 10 = 3 THEN 'model-lonely'
                ELSE 'model-' || ((k + h / 13 % 3) % 20) END AS model,
            CASE WHEN status IN (413, 429) THEN '' ELSE 'provider-' || ((k + h / 13 % 3) % 5) END AS provider, status,
            CASE status WHEN 413 THEN 'body_too_large' WHEN 429 THEN 'rate_limit_exceeded' WHEN 504 THEN 'upstream_timeout' ELSE '' END
                AS error_code,
            status IN (200, 504) AS admitted, 800 + h % 3000 AS input_tokens, 100 + h % 700 AS output_tokens,
            1000000 + h % 9000000 AS cost_nanos, 200 + h % 9000 AS latency_ms
        FROM g"""


def _add_part() -> Iterator[str]:
    """The day's requests and their roll-ups, as the books would have written them."""
    yield """
        INSERT INTO request_log (request_id, seq, at, gateway_id, organization, key_id, key_name, owner, metadata_json,
            client_ip, client_request_id, trace_id, method, path, operation, model, provider, status, error_code, outcome,
            admitted, stream, attempts, input_tokens, output_tokens, cost_nanos, latency_ms, first_byte_ms)
        SELECT printf('req_%026d', n), n + 1, at, 'gtw_1', organization, key_id, 'bench ' || k, owner, '{"team":"backend"}',
            '10.0.0.' || (h % 250), '', printf('%032x', h), 'POST', '/v1/chat/completions', 'chat', model, provider, status, error_code,
            CASE status WHEN 200 THEN 'completed' WHEN 504 THEN 'upstream_failed' ELSE 'denied' END,
            admitted, 1, admitted, input_tokens, output_tokens, cost_nanos, latency_ms, 100 + h % 900
        FROM part"""
    for field in _FIELDS:
        yield (
            f"INSERT INTO request_log_minutes (field, value, minute) SELECT DISTINCT '{field}', CAST({field} AS TEXT),"
            f" at / {_MINUTE_MS} FROM part"
        )
    counts = "SUM(admitted), SUM(status = 504), SUM(1 - admitted)"
    sums = "SUM(input_tokens), SUM(output_tokens), SUM(cost_nanos)"
    yield (
        "INSERT INTO usage_hourly (hour, organization, key_id, owner, provider, model, requests, errors, denied, input_tokens,"
        f" output_tokens, cost_nanos, cached_tokens, latency_ms) SELECT at / {_HOUR_MS} AS hour, organization, key_id, owner, provider,"
        f" CASE WHEN admitted THEN model ELSE '' END AS m, {counts}, {sums}, 0, SUM(latency_ms)"
        " FROM part GROUP BY hour, key_id, provider, m"
    )
    step = f"at / {_STEP_MS} * {_STEP_MS}"
    for owner in ("owner", "'*'"):
        yield (
            "INSERT INTO timeline (step_ms, organization, owner, start_at, requests, errors, denied, input_tokens, output_tokens,"
            f" cost_nanos) SELECT {_STEP_MS}, organization, {owner} AS o, {step} AS t, {counts}, {sums} FROM part GROUP BY o, t"
        )
        yield (
            "INSERT INTO timeline_latency (step_ms, organization, owner, start_at, bucket, requests)"
            f" SELECT {_STEP_MS}, organization, {owner} AS o, {step} AS t, 20 + latency_ms / 400 AS b, COUNT(*) FROM part"
            " WHERE admitted GROUP BY o, t, b"
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
