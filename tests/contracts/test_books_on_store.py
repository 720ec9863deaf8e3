"""The books on a real store: what the writer hands over is there once, whatever is repeated."""

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.ledger.spool import Spool
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.storage.database import StoreConflict
from gateway_proxy.storage.store import open_store
from tests.support.books import finish, make_log, make_row

EVER = (0, 253_402_300_800_000)


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(f"sqlite:{tmp_path / 'gateway.db'}", migrate=True)
    yield opened
    await opened.close()


@pytest.fixture
def open_books(store, tmp_path):
    spools = []

    def make() -> BooksWriter:
        for spool in spools:
            spool.close()
        spools.append(Spool(tmp_path / "spool", sync_seconds=0.001))
        return BooksWriter(store.ledger, spools[-1], "gtw_1", Clock(), row_errors=(StoreConflict,))

    yield make
    for spool in spools:
        spool.close()


async def read_ledger(store):
    return await store.db.fetch(
        "SELECT request_id, attempt, charged_nanos, outcome FROM ledger ORDER BY 1, 2"
    )


async def test_replay_three_times_and_mixed_with_live_rows_gives_one_ledger(store, open_books):
    books = open_books()
    for number in range(600):
        row = make_row(number, key_id=f"key_{number % 3}", parent_id="key_p")
        assert books.intent(row)
        if number % 50:
            books.settle(finish(row, charged=number))
        books.log(make_log(number))
        if number == 300:
            await books.flush()
    expected = None
    for _ in range(3):
        books = open_books()
        await books.replay()
        ledger = await read_ledger(store)
        assert len(ledger) == 600
        assert expected in (None, ledger)
        expected = ledger
    sums = await books.flush_and_sum(lambda: [("key_p", *EVER), *((f"key_{n}", *EVER) for n in range(3))])
    assert sums[0] == sum(sums[1:]) == sum(row[2] for row in ledger)
    assert sum(row[3] == "orphaned" for row in ledger) == 12


async def test_a_row_that_the_database_cannot_hold_is_set_aside(store, open_books, tmp_path):
    books = open_books()
    for number in range(8):
        row = make_row(number)
        assert books.intent(row)
        reported = "\ud800" if number == 5 else "gpt-4o"
        books.settle(finish(row, charged=10)._replace(model_reported=reported))
    await books.flush()
    assert len(await read_ledger(store)) == 7
    assert "req_5" in (tmp_path / "spool" / "set-aside.jsonl").read_text()
    assert await books.flush_and_sum(lambda: [("key_a", *EVER)]) == [70]


async def test_a_closed_store_loses_nothing(store, open_books, tmp_path):
    books = open_books()
    row = make_row(1)
    assert books.intent(row)
    books.settle(finish(row))
    await store.close()
    with pytest.raises(Exception, match=r"."):
        await books.flush()
    again = await open_store(f"sqlite:{tmp_path / 'gateway.db'}")
    books._store = again.ledger
    await books.flush()
    assert len(await read_ledger(again)) == 1
    await again.close()
