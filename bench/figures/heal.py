"""How soon a gateway that was cut off is like any other again: of two gateways one loses PostgreSQL, or Redis, behind a fault proxy.

Counted from the moment in which the network is back; where connections are half-open and new ones work, from the moment in which
they were forgotten. Its short form is a test of the rig.
"""

import asyncio

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.rig.healing import FAULTS, measure_counters, measure_store
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

AWAY_SECONDS, SHORT_AWAY_SECONDS = (0.7, 1.6, 2.3, 3.1, 4.4, 7.0, 12.0), (2.3,)
MAX_SECONDS = 1.0
MAX_FORGOTTEN_SECONDS = 4.0


def run(short: bool) -> list[Figure]:
    """The long form takes about four minutes."""
    aways = SHORT_AWAY_SECONDS if short else AWAY_SECONDS
    figures = []
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        url = asyncio.run(server.make_store())
        with Cluster(url, redis.url, provider, redis_links=True) as cluster:
            for name, measure in (("PostgreSQL", measure_store), ("Redis", measure_counters)):
                for fault in FAULTS:
                    took = [measure(cluster, 1, fault, away) for away in aways]
                    print(f"     {name}, {fault}: {' '.join(f'{one:.3f}' for one in took)} s", flush=True)
                    bound = MAX_FORGOTTEN_SECONDS if fault == "forget" else MAX_SECONDS
                    figures.append(
                        Figure(
                            f"cut off from {name} ({fault}), {len(took)} times: live again after, longest",
                            bound,
                            round(max(took), 3),
                            "s",
                            max(took) <= bound,
                        )
                    )
    return figures
