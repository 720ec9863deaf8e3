"""What limits that gateways share cost a request, beside the same rules in the gateway's own memory.

Three gateways with the same keys and every rule on: the embedded store; PostgreSQL with counters in memory; PostgreSQL with counters on
a Redis server. They take turns in rounds, and every figure is a median of rounds: on a shared machine times drift, ratios stay. The
servers are the tests' own, on Unix sockets of this machine; through a network a request waits for its round trip as well.
"""

import asyncio
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from bench import subjects
from bench.figure import Figure
from bench.load import Load, Result, percentile, run_load
from bench.processes import cpu_seconds
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

KEYS = 100
CONNECTIONS = 32
RATE = 200.0
CONTENDERS = ("embedded", "postgres", "shared")


def run(short: bool) -> list[Figure]:
    """All of it, in microseconds and milliseconds."""
    rounds, requests, seconds = (2, 300, 2) if short else (7, 2000, 15)
    with _contenders() as contenders:
        # A machine that is busy with other things answers some within more than a decision may take.
        most = 0.5 if short else 0.02
        costs, redis = _measure_cpu(contenders, rounds, requests, most)
        latencies = {
            name: _send(contenders[name], most, rate=RATE, seconds=seconds).latencies for name in CONTENDERS
        }
    middle = {name: statistics.median(values) for name, values in costs.items()}
    extra = statistics.median(
        shared - own for shared, own in zip(costs["shared"], costs["postgres"], strict=True)
    )
    figures = [
        Figure(f"CPU per request, {name}", None, round(middle[name]), "µs", True) for name in CONTENDERS
    ]
    figures += [
        Figure("CPU per request that sharing adds to the gateway", None, round(extra), "µs", True),
        Figure("CPU per request at the Redis server", None, round(statistics.median(redis)), "µs", True),
    ]
    for place in (50, 99):
        taken = {name: percentile(latencies[name], place) * 1000 for name in CONTENDERS}
        figures += [
            Figure(f"latency at 200 requests/s, {name}, p{place}", None, round(taken[name], 2), "ms", True)
            for name in CONTENDERS
        ]
        added = round(taken["shared"] - taken["postgres"], 2)
        figures.append(
            Figure(f"latency that sharing adds at 200 requests/s, p{place}", None, added, "ms", True)
        )
    return figures


@contextmanager
def _contenders() -> Iterator[dict[str, SimpleNamespace]]:
    keys = [subjects.EVERY_RULE] * KEYS
    with run_postgres() as postgres, run_redis() as redis, subjects.fake_provider() as upstream:
        urls = [asyncio.run(postgres.make_database()) for _ in range(2)]
        sharing = f'[shared]\nredis_url = "{redis.url}"\n'
        with (
            subjects.gateway_folder(upstream, keys) as embedded,
            subjects.gateway_folder(upstream, keys, store_url=urls[0]) as plain,
            subjects.gateway_folder(upstream, keys, sharing, store_url=urls[1]) as shared,
            subjects.serving(embedded) as one,
            subjects.serving(plain) as two,
            subjects.serving(shared) as three,
        ):
            three.redis_pid = redis.pid
            yield dict(zip(CONTENDERS, (one, two, three), strict=True))


def _send(target: SimpleNamespace, most_failures: float, **load: object) -> Result:
    secret = target.secrets[KEYS // 2]
    headers = {"content-type": "application/json", "authorization": f"Bearer {secret}"}
    result = run_load(
        Load(
            url=f"{target.url}/chat/completions", body=subjects.chat_body(1024), headers=headers,
            connections=CONNECTIONS, **load,
        )  # type: ignore[arg-type]
    )  # fmt: skip
    answered = result.statuses.get(200, 0)
    if answered < (1 - most_failures) * sum(result.statuses.values()) or result.errors:
        raise RuntimeError(f"requests failed: {dict(result.statuses)} {dict(result.errors)}")
    return result


def _measure_cpu(
    contenders: dict[str, SimpleNamespace], rounds: int, requests: int, most_failures: float
) -> tuple[dict[str, list[float]], list[float]]:
    """Microseconds per request of each gateway, and of the Redis server, per round."""
    costs: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    redis: list[float] = []
    for target in contenders.values():
        _send(target, 1, requests=200)  # a budget that is still being loaded is refused
    server = contenders["shared"].redis_pid
    for _ in range(rounds):
        for name, target in contenders.items():
            before, server_before = cpu_seconds(target.pid), cpu_seconds(server)
            _send(target, most_failures, requests=requests)
            costs[name].append((cpu_seconds(target.pid) - before) / requests * 1e6)
            if name == "shared":
                redis.append((cpu_seconds(server) - server_before) / requests * 1e6)
    return costs, redis
