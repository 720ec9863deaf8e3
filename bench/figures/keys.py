"""A store with very many keys: start, memory, listing, and how soon a change by the command line is in force."""

import json
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

from bench import subjects
from bench.figure import Figure
from bench.processes import rss_bytes

KEYS = 100_000
SHORT_KEYS = 10_000
MAX_LIVE_MS = 1000.0
_POLL_SECONDS = 0.004
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run(short: bool) -> list[Figure]:
    """Two keys are made as always, one of them is copied until there are enough."""
    count = SHORT_KEYS if short else KEYS
    documents: list[dict[str, object]] = [{"name": "probe"}, {"requests_per_minute": 100, "budget_usd": "5"}]
    with subjects.gateway_folder("http://127.0.0.1:9/v1", documents) as place:
        copy_key(place.folder / "gateway.db", "bench 1", count - 2)
        with subjects.serving(place) as gateway:
            start, memory = gateway.start_seconds, rss_bytes(gateway.pid) / 2**20
            list_seconds, listed = measure_listing(gateway)
            latencies = measure_changes(gateway, 6 if short else 40)
    thousands = f"{count:,} keys"
    return [
        Figure(name=f"start to ready, {thousands}", bound=None, measured=round(start, 2), unit="s", passed=True),
        Figure(name=f"idle memory, {thousands}", bound=None, measured=round(memory, 1), unit="MiB", passed=True),
        Figure(name=f"keys list --json, {thousands}", bound=None, measured=round(list_seconds, 2), unit="s",
               passed=listed == count),
        Figure(name=f"change by the command line in force, median, {thousands}", bound=MAX_LIVE_MS,
               measured=round(statistics.median(latencies), 1), unit="ms", passed=statistics.median(latencies) <= MAX_LIVE_MS),
        Figure(name=f"change by the command line in force, longest, {thousands}", bound=MAX_LIVE_MS,
               measured=round(max(latencies), 1), unit="ms", passed=max(latencies) <= MAX_LIVE_MS),
    ]  # fmt: skip


def copy_key(store: Path, name: str, copies: int) -> None:
    """Rows like those of the key `name`, with ids and digests of their own; nobody knows their secrets."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    connection = sqlite3.connect(store)
    connection.create_function(
        "new_id",
        2,
        lambda old, n: old[:18] + "".join(alphabet[n >> shift & 31] for shift in range(55, -1, -5)),
    )
    connection.create_function("new_digest", 1, lambda n: f"{n:064x}")
    series = f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {copies})"
    [key_id] = connection.execute("SELECT id FROM keys WHERE name = ?", (name,)).fetchone()
    replaced = {
        "keys": {"id": "new_id(t.id, n)", "name": "t.name || ' ' || n", "search": "lower(t.name || ' ' || n) || char(10) || t.preview"},
        "key_stats": {"key_id": "new_id(t.key_id, n)"},
        "key_secrets": {"key_id": "new_id(t.key_id, n)", "digest": "new_digest(n)"},
    }  # fmt: skip
    for table, changed in replaced.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
        own = "id" if table == "keys" else "key_id"
        connection.execute(
            f"{series} INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM s, {table} t WHERE t.{own} = ?",
            (key_id,),
        )
    connection.commit()
    connection.close()


def run_cli(gateway: SimpleNamespace, *arguments: str) -> str:
    """Standard output of a command on the gateway's store. Raises CalledProcessError."""
    command = [sys.executable, "-m", "gateway_proxy", *arguments, "-c", str(gateway.folder / "config.toml")]
    done = subprocess.run(
        command,
        cwd=subjects.ROOT,
        env=subjects.make_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def measure_listing(gateway: SimpleNamespace) -> tuple[float, int]:
    """Seconds for `keys list --json`, and how many keys it lists."""
    begun = time.monotonic()
    text = run_cli(gateway, "keys", "list", "--json")
    return time.monotonic() - begun, len(json.loads(text)["data"])


def measure_changes(gateway: SimpleNamespace, changes: int) -> list[float]:
    """Milliseconds from the commit of each `deactivate` and `activate` until the data plane acts on it."""
    latencies = []
    for number in range(changes):
        action, awaited = (("deactivate", 401), ("activate", 200))[number % 2]
        command = threading.Thread(target=run_cli, args=(gateway, "keys", action, "probe"))
        command.start()
        deadline = time.monotonic() + 30
        while ask_status(gateway, gateway.secrets[0]) != awaited:
            if time.monotonic() > deadline:
                raise TimeoutError(f"keys {action} is not in force")
            time.sleep(_POLL_SECONDS)
        live_ms = time.time_ns() / 1e6
        command.join()
        latencies.append(live_ms - read_last_change(gateway.folder / "gateway.db"))
    return latencies


def ask_status(gateway: SimpleNamespace, secret: str) -> int:
    """The status of GET /v1/key."""
    request = urllib.request.Request(gateway.url + "/key", headers={"authorization": f"Bearer {secret}"})
    try:
        with _direct.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def read_last_change(store: Path) -> int:
    """When the newest line of the change log was written, in Unix milliseconds."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute("SELECT at FROM changes ORDER BY seq DESC LIMIT 1").fetchone()[0])
    finally:
        connection.close()
