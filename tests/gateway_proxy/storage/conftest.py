"""A fresh embedded store for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    yield store
    await store.close()
