"""Ids between memory and store: at once, after a restart, and while the store is away."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway_proxy.app.made_ids import IdBooks
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import Unavailable
from gateway_proxy.core.kept import MadeId
from gateway_proxy.stages.kept import RETENTION_MS
from gateway_proxy.storage import Store, open_store
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.made_ids import MadeIdRows


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True)
    yield store
    await store.close()


def made(id: str, clock: FakeClock, owner: str = "key_a") -> MadeId:
    return MadeId(id, owner, "openai", "at", "m", "up-m", clock.now_ms())


async def test_known_at_once_and_after_a_restart(store: Store) -> None:
    clock = FakeClock()
    books = IdBooks(store.made_ids, clock)
    books.note([made("r1", clock)], True)
    assert books.find("r1") == made("r1", clock)
    await books.close()
    later = IdBooks(store.made_ids, clock)
    assert later.find("r1") is None
    await later.recall(("r1", "r2"))
    assert later.find("r1") == made("r1", clock) and later.find("r2") is None


async def test_the_retention_ends_in_memory_and_in_the_store(store: Store) -> None:
    clock = FakeClock()
    books = IdBooks(store.made_ids, clock)
    books.note([made("r1", clock)], True)
    await books.flush()
    clock.advance(RETENTION_MS / 1000 + 1)
    assert books.find("r1") is None
    await books.recall(("r1",))
    assert books.find("r1") is None
    await books.prune()
    assert await store.made_ids.find(["r1"], 0) == []


async def test_the_store_decides_between_two_owners(store: Store) -> None:
    clock = FakeClock()
    await store.made_ids.add([made("r1", clock, "key_first")])
    books = IdBooks(store.made_ids, clock)
    books.note([made("r1", clock, "key_second")], True)
    await books.flush()
    found = books.find("r1")
    assert found is not None and found.owner_id == "key_first"


class _Away(MadeIdRows):
    def __init__(self) -> None: ...

    async def add(self, made: Sequence[MadeId]) -> int:
        raise StoreError("away")

    async def find(self, ids: Sequence[str], since_ms: int) -> list[MadeId]:
        raise StoreError("away")


async def test_a_store_that_is_away_loses_nothing() -> None:
    clock = FakeClock()
    books = IdBooks(_Away(), clock)
    books.note([made("r1", clock)], True)
    with pytest.raises(StoreError):
        await books.flush()
    await books.close()
    assert books.find("r1") is not None and books.memory.unwritten(9) == [made("r1", clock)]
    with pytest.raises(Unavailable) as caught:
        await books.recall(("r2",))
    assert (caught.value.status, caught.value.code) == (503, "store_stale")
