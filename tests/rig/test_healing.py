"""A gateway that was cut off is live again soon after the network is back; `./run soak heal` measures how soon."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.rig.cluster import Cluster
from tests.rig.healing import measure_counters, measure_store
from tests.support.fake_provider import FakeProvider
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

pytestmark = pytest.mark.slow
GENEROUS_SECONDS = 5.0  # a second on a machine that has nothing else to do


@pytest.fixture(scope="module")
def cluster(postgres: PostgresServer, redis_server: RedisServer, provider: FakeProvider) -> Iterator[Cluster]:
    url = asyncio.run(postgres.make_store())
    with Cluster(url, redis_server.url, provider, redis_links=True) as cluster:
        yield cluster


def test_cut_off_from_the_store_with_everything_lost(cluster: Cluster) -> None:
    assert measure_store(cluster, 1, "lossy", 2.3) < GENEROUS_SECONDS


@pytest.mark.parametrize("fault", ["lossy", "refuse"])
def test_cut_off_from_the_counters(cluster: Cluster, fault: str) -> None:
    assert measure_counters(cluster, 1, fault, 1.6) < GENEROUS_SECONDS


def test_a_forgotten_connection_to_the_counters_is_noticed(cluster: Cluster) -> None:
    assert measure_counters(cluster, 1, "forget", 0) < 2 * GENEROUS_SECONDS
