"""A receiver, a store and a clock that stands still."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage import Store, open_store
from tests.support.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    yield store
    await store.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def event() -> EventRow:
    return EventRow(
        id="evt_01j9aaaaaaaaaaaaaaaaaaaaaa", type="budget.threshold", at=1_790_000_000_123,
        organization="default", key_id="key_1", dedupe="d", data={"key_id": "key_1", "key_name": "Ä", "percent": 80},
    )  # fmt: skip
