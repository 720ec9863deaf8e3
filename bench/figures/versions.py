"""Four gateways under load of which one after the other becomes the next version, the first of them with the schema's migration, and
goes back again: first in order, then killed with a journal that is not empty.

For a while both versions run together on the newer schema. Nobody sees an error where gateways end in order, and both parties' books
agree in any case.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.newer import make_next_schema
from tests.rig.storm import Act, Plan, run_storm
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

GATEWAYS = 4
STREAMS, SHORT_STREAMS = 100, 12
STAY_SECONDS, SHORT_STAY_SECONDS = 10.0, 0.5
THIS_VERSION = ("gateway_proxy",)


def run(short: bool) -> list[Figure]:
    """The long form takes about four minutes."""
    streams, stay = (SHORT_STREAMS, SHORT_STAY_SECONDS) if short else (STREAMS, STAY_SECONDS)
    plan = Plan(
        requests=None, funded=10_000_000, streams=streams, tokens=12, delay_ms=20, deadline_seconds=1800
    )
    figures = []
    with (
        tempfile.TemporaryDirectory() as parent,
        run_postgres() as server,
        run_redis() as redis,
        FakeProvider(api_key="fake-key") as provider,
    ):
        next_version = ("tests.rig.newer", str(make_next_schema(Path(parent))))
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            for how, end in (("stopped", RunningGateway.stop), ("killed", RunningGateway.kill)):
                acts = [
                    act
                    for program in (next_version, THIS_VERSION)
                    for gateway in cluster.gateways
                    for act in _replace(gateway, end, program, stay)
                ]
                verdict = run_storm(cluster, plan, acts)
                broken = verdict.outcomes.total() - verdict.outcomes["200"]
                print(f"     {how}: {dict(verdict.outcomes)}", flush=True)
                name = f"{GATEWAYS} gateways {how}, of the next version and back, {verdict.books.accepted:,} requests: "
                figures.append(
                    Figure(name + "books that do not hold", 0, int(not verdict.holds), "", verdict.holds)
                )
                if how == "stopped":
                    figures.append(Figure(name + "requests that failed", 0, broken, "requests", broken == 0))
            migrated = asyncio.run(cluster.fetch("SELECT COUNT(*) FROM ledger WHERE next_number = 0"))[0][0]
    figures.append(Figure("rows in the newer schema, more than", 0, migrated, "rows", migrated > 0))
    return figures


def _replace(
    gateway: RunningGateway,
    end: Callable[[RunningGateway], object],
    program: tuple[str, ...],
    stay_seconds: float,
) -> list[Act]:
    def take_program() -> None:
        gateway.program = program
        gateway.spawn()

    return [
        Act(0.0, lambda: end(gateway)),
        Act(0.0, take_program, here=True),
        Act(0.0, gateway.wait_until_ready),
        Act(0.0, lambda: time.sleep(stay_seconds)),
    ]
