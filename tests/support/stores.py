"""A fresh store for each test, once on each database. `from tests.support.stores import clock, store` in a conftest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store
from tests.support.postgres import PostgresServer

__all__ = ["DATABASES", "clock", "on_sqlite", "store", "store_url"]

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)]
on_sqlite = pytest.mark.parametrize(
    "store_url", ["sqlite"], indirect=True
)  # for what holds of one database only


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=DATABASES)
async def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Where a store with the schema is."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = await server.make_store()
        yield url
        await server.take_back(url)
    else:
        url = f"sqlite:{tmp_path}/gateway.db"
        await (await open_store(url, migrate=True)).close()
        yield url


@pytest.fixture
async def store(store_url: str, clock: FakeClock) -> AsyncIterator[Store]:
    store = await open_store(store_url, clock=clock)
    yield store
    await store.close()
