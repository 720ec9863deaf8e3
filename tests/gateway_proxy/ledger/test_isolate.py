"""Whose fault a refused batch is: the store's (then wait), or one row's (then set it aside)."""

import json
import stat

import pytest

from gateway_proxy.core.store import Batch
from gateway_proxy.ledger.isolate import FILE_NAME, MAX_REFUSED, Isolation
from tests.support.books import MemoryStore, StoreDown, finish, make_event, make_log, make_row


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def poison(store: MemoryStore, *bad: str, error=StoreDown) -> None:
    def refuse(batch):
        names = {row.request_id for row in [*batch.ledger, *batch.logs]} | {
            row.dedupe for row in batch.events
        }
        if names & set(bad):
            raise error("refused")

    store.refuse = refuse


def make_batch(count: int) -> Batch:
    return Batch(
        ledger=[finish(make_row(number)) for number in range(count)],
        logs=[make_log(number + 1000) for number in range(count)],
        events=[make_event(1)],
        cursor=(3, 99),
    )


async def append(store, folder, batch, row_errors=(OverflowError,)) -> int:
    return await Isolation(store, "gtw_1", folder, row_errors).append(batch, StoreDown("first"), 5)


async def test_only_the_rows_at_fault_are_set_aside(store, tmp_path, caplog):
    poison(store, "req_17", "req_1003", "d1")
    assert await append(store, tmp_path, make_batch(100)) == 3
    assert len(store.rows) == 99
    assert len(store.logs) == 99
    assert store.cursors == {"gtw_1": (3, 99)}
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert [line["type"] for line in lines] == ["LedgerRow", "LogRow", "EventRow"]
    assert lines[0]["row"]["request_id"] == "req_17"
    assert lines[0]["row"]["charged_nanos"] == 1016
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert caplog.text.count("ALARM") == 3


async def test_a_store_that_is_away_keeps_every_row(store, tmp_path):
    def refuse(batch):
        raise StoreDown("away")

    store.refuse = refuse
    with pytest.raises(StoreDown, match="away"):
        await append(store, tmp_path, make_batch(10))
    assert not (tmp_path / FILE_NAME).exists()


async def test_a_store_that_takes_only_empty_batches_is_at_fault_itself(store, tmp_path):
    """A full disk looks like this."""
    for count in (1, 3, 100):
        batch = Batch(ledger=[finish(make_row(number)) for number in range(count)])
        poison(store, *(row.request_id for row in batch.ledger))
        with pytest.raises(StoreDown):
            await append(store, tmp_path, batch)
    assert not (tmp_path / FILE_NAME).exists()
    assert MAX_REFUSED < 100


async def test_a_lone_row_is_set_aside_only_for_an_error_of_its_own(store, tmp_path):
    batch = Batch(ledger=[finish(make_row(1))])
    poison(store, "req_1", error=OverflowError)
    assert await append(store, tmp_path, batch) == 1


async def test_a_moments_trouble_sets_nothing_aside(store, tmp_path):
    calls = []

    def refuse(batch):
        calls.append(batch)
        if len(calls) in (2, 3, 4, 5):
            raise StoreDown("busy")

    store.refuse = refuse
    assert await append(store, tmp_path, make_batch(4)) == 0
    assert len(store.rows) == 4
    assert not (tmp_path / FILE_NAME).exists()
