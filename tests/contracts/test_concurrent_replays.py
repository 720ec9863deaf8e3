"""Two processes that carry the same journal into the store at once, one of them with live rows: each row counts once."""

import asyncio
import shutil
from pathlib import Path

from gateway_proxy.core.clock import Clock
from gateway_proxy.ledger.spool import Spool
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.storage import Store
from gateway_proxy.storage.database import StoreConflict
from tests.support.books import finish, make_row

ROWS, LIVE = 120, 30


def open_books(store: Store, folder: Path) -> tuple[Spool, BooksWriter]:
    spool = Spool(folder, sync_seconds=0.001)
    return spool, BooksWriter(store.ledger, spool, "gtw_1", Clock(), row_errors=(StoreConflict,))


async def test_the_ledger_is_the_same(store: Store, tmp_path: Path) -> None:
    spool, books = open_books(store, tmp_path / "one")
    for number in range(ROWS):
        row = make_row(number, key_id=f"key_{number % 3}", parent_id="key_p")
        assert books.intent(row)
        if number % 10:  # the others were cut off, and are charged what was reserved
            books.settle(finish(row, charged=number))
    spool.close()
    shutil.copytree(tmp_path / "one", tmp_path / "other")  # a lock keeps two processes out of one folder
    opened = [open_books(store, tmp_path / name) for name in ("one", "other")]

    async def work_on(books: BooksWriter) -> None:
        for number in range(ROWS, ROWS + LIVE):
            row = make_row(number, key_id="key_live", parent_id="key_p")
            assert books.intent(row)
            books.settle(finish(row, charged=7))
            await asyncio.sleep(0)
        await books.flush()

    replays = [asyncio.create_task(books.replay()) for _, books in opened]
    await asyncio.gather(*replays)
    await asyncio.gather(opened[0][1].replay(), work_on(opened[0][1]), opened[1][1].replay())
    for spool, _ in opened:
        spool.close()

    rows = await store.db.fetch("SELECT request_id, attempt, charged_nanos FROM ledger ORDER BY 1, 2")
    assert len(rows) == ROWS + LIVE
    by_key = await store.db.fetch(
        "SELECT key_id, CAST(SUM(charged_nanos) AS BIGINT) FROM ledger GROUP BY key_id ORDER BY 1"
    )
    slots = await store.db.fetch(
        "SELECT key_id, CAST(SUM(nanos) AS BIGINT) FROM spend_slots WHERE key_id <> 'key_p' GROUP BY key_id ORDER BY 1"
    )
    assert slots == by_key
    assert await store.db.fetch_one(
        "SELECT CAST(SUM(nanos) AS BIGINT) FROM spend_slots WHERE key_id = 'key_p'"
    ) == (sum(nanos for _, nanos in by_key),)
