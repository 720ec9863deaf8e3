"""Every backend that a contract suite runs on; a further one is a further parameter."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        url = f"sqlite:{tmp_path}/gateway.db"
    else:
        url = await request.getfixturevalue("postgres").make_store()
    store = await open_store(url, migrate=True, clock=clock)
    yield store
    await store.close()
