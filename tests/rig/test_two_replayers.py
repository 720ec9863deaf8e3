"""A spool that two gateways bring into one store at once, as after a disk was copied: each row once, in the ledger and in all sums."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.ledger.spool import Spool
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.storage import Store, open_store
from tests.support.books import finish, make_row
from tests.support.stores import store_url

__all__ = ["store_url"]
pytestmark = pytest.mark.slow

FINISHED, ORPHANS, LIVE = 1300, 40, 150
GATEWAY = "gtw_1"
_CHARGED = "SELECT COUNT(*), CAST(SUM(charged_nanos) AS BIGINT) FROM ledger WHERE key_id = $1"
_SUMS = {
    "spend_slots": "SELECT CAST(SUM(nanos) AS BIGINT) FROM spend_slots WHERE key_id = $1",
    "usage_hourly": "SELECT CAST(SUM(cost_nanos) AS BIGINT) FROM usage_hourly WHERE key_id = $1",
    "key_stats": "SELECT spent_nanos FROM key_stats WHERE key_id = $1",
}


def leave_spool(folder: Path) -> int:
    """What a killed gateway leaves; returns what its rows cost."""
    spool = Spool(folder, segment_bytes=100_000)
    rows = [make_row(number) for number in range(FINISHED + ORPHANS)]
    for row in rows:
        spool.intent(row)
    for row in rows[:FINISHED]:
        spool.settle(finish(row))
    spool.close()
    return sum(row.reserved_nanos - (number < FINISHED) for number, row in enumerate(rows))


async def serve_meanwhile(books: BooksWriter) -> int:
    """Rows of requests that run during the replay, flushed as they come; returns what they cost."""
    cost = 0
    for number in range(LIVE):
        row = make_row(number, request_id=f"req_live_{number}")
        assert books.intent(row)
        books.settle(finish(row))
        cost += row.reserved_nanos - 1
        if number % 50 == 49:
            await books.flush()
    return cost


async def check(store: Store, count: int, cost: int) -> None:
    assert await store.db.fetch(_CHARGED, "key_a") == [(count, cost)]
    for table, sql in _SUMS.items():
        assert await store.db.fetch(sql, "key_a") == [(cost,)], table


async def test_each_row_is_charged_once(store_url: str, tmp_path: Path) -> None:
    cost = leave_spool(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    async with AsyncExitStack() as stack:
        stores, replayers = [], []
        for name, gateway_id in (("one", GATEWAY), ("two", GATEWAY), ("live", "gtw_2")):
            stores.append(await open_store(store_url))
            stack.push_async_callback(stores[-1].close)
            spool = Spool(tmp_path / name, sync_seconds=0.001)
            stack.callback(spool.close)
            replayers.append(BooksWriter(stores[-1].ledger, spool, gateway_id, Clock()))
        one, two, live = replayers
        counts = await asyncio.gather(one.replay(), two.replay(), serve_meanwhile(live))
        assert max(counts[:2]) == FINISHED + ORPHANS and min(counts[:2]) > 0, counts
        cost += counts[2]
        await check(stores[0], FINISHED + ORPHANS + LIVE, cost)
        # Once more after both: the copies are empty, and what a restored backup still holds is known.
        assert await asyncio.gather(one.replay(), two.replay()) == [0, 0]
        await check(stores[1], FINISHED + ORPHANS + LIVE, cost)


async def test_a_spool_that_was_restored_from_a_backup_adds_nothing(store_url: str, tmp_path: Path) -> None:
    cost = leave_spool(tmp_path / "spool")
    shutil.copytree(tmp_path / "spool", tmp_path / "backup")
    store = await open_store(store_url)
    try:
        for gateway_id in (GATEWAY, "gtw_other"):  # the second has no cursor there: every row is sent again
            for folder in (tmp_path / "spool", tmp_path / "backup"):
                spool = Spool(folder)
                await BooksWriter(store.ledger, spool, gateway_id, Clock()).replay()
                spool.close()
                await check(store, FINISHED + ORPHANS, cost)
            shutil.rmtree(tmp_path / "spool")
            shutil.copytree(tmp_path / "backup", tmp_path / "spool")
    finally:
        await store.close()
