"""The writer: one batch for many rows, nothing lost while the store is away, sums that fit the cut."""

import asyncio
import time

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import Claim, Meter, budget_rule
from gateway_proxy.ledger import writer as writer_module
from gateway_proxy.ledger.spool import Spool
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.limits.memory import MemoryLimiter
from tests.support.books import MemoryStore, StoreDown, finish, make_event, make_log, make_row
from tests.support.waiting import until


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def spool(tmp_path):
    opened = Spool(tmp_path / "spool", sync_seconds=0.001)
    yield opened
    opened.close()


@pytest.fixture
def books(store, spool) -> BooksWriter:
    return BooksWriter(store, spool, "gtw_1", Clock())


def run_one(books: BooksWriter, number: int, **members) -> None:
    row = make_row(number, **members)
    assert books.intent(row)
    books.settle(finish(row))


def go_down(store: MemoryStore) -> None:
    def refuse(batch):
        raise StoreDown("the store cannot be reached")

    store.refuse = refuse


async def test_everything_up_to_now_is_in_the_store_after_a_flush(books, store, spool, monkeypatch):
    monkeypatch.setattr(writer_module, "BATCH_ROWS", 500)
    for number in range(1200):
        run_one(books, number)
        books.log(make_log(number))
    books.event(make_event(1))
    await books.flush()
    assert (len(store.rows), len(store.logs), len(store.events)) == (1200, 1200, 1)
    assert [len(batch.ledger) for batch in store.batches] == [500, 500, 200]
    assert store.cursors["gtw_1"] == spool.position()
    await books.flush()
    assert len(store.batches) == 3


async def test_rows_flow_in_the_background(books, store):
    books.start()
    run_one(books, 1)
    await until(lambda: store.rows)
    for number in range(2, 600):
        run_one(books, number)
    await until(lambda: len(store.rows) == 599)
    await books.stop()


async def test_the_first_row_after_a_pause_goes_sooner_than_rows_under_load(books, store, monkeypatch):
    pauses = []

    async def see(event, seconds):
        if event is books._full:
            pauses.append(seconds)
        else:
            await event.wait()

    def run_another():
        if len(store.rows) == 1:
            run_one(books, 2)

    monkeypatch.setattr(writer_module, "wait_for_event", see)
    store.during = run_another
    books.start()
    await asyncio.sleep(0)
    run_one(books, 1)
    await until(lambda: len(store.rows) == 2)
    await books.stop()
    assert pauses == [writer_module.FLUSH_SECONDS, writer_module.BUSY_FLUSH_SECONDS]


async def test_a_stop_flushes_what_waits(books, store):
    books.start()
    run_one(books, 1)
    await books.stop()
    assert len(store.rows) == 1


async def test_rows_wait_while_the_store_is_away_and_arrive_once(books, store, monkeypatch, caplog):
    monkeypatch.setattr(writer_module, "FLUSH_SECONDS", 0.01)
    go_down(store)
    books.start()
    for number in range(700):
        run_one(books, number)
    await until(lambda: not books.store_healthy)
    assert store.rows == {}
    assert books.healthy and books.unsent["ledger"] == 700
    store.refuse = lambda batch: None
    await until(lambda: len(store.rows) == 700)
    await until(lambda: books.store_healthy)
    assert "takes the books again" in caplog.text and not any(books.unsent.values())
    await books.stop()


async def test_a_stop_without_a_store_leaves_the_rows_to_the_next_start(
    books, store, spool, tmp_path, caplog
):
    go_down(store)
    for number in range(3):
        run_one(books, number)
    assert books.intent(make_row(77))
    await books.stop(timeout_seconds=0.5)
    assert "stay in the spool" in caplog.text
    spool.close()
    store.refuse = lambda batch: None
    second = Spool(tmp_path / "spool", sync_seconds=0.001)
    heirs = BooksWriter(store, second, "gtw_1", Clock())
    assert await heirs.replay() == 4
    assert {row.outcome for row in store.rows.values()} == {"completed", "orphaned"}
    assert store.cursors["gtw_1"] == second.position()
    deadline = time.monotonic() + 5
    while len(list((tmp_path / "spool").glob("*.spool"))) > 1:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    assert await heirs.replay() == 0
    second.close()


async def test_a_replay_may_be_repeated_after_the_store_failed(books, store, spool, tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "BATCH_ROWS", 500)
    for number in range(1100):
        run_one(books, number)
    spool.close()
    second = Spool(tmp_path / "spool")
    heirs = BooksWriter(store, second, "gtw_1", Clock())
    store.refuse = lambda batch: (_ for _ in ()).throw(StoreDown()) if len(store.rows) >= 500 else None
    with pytest.raises(StoreDown):
        await heirs.replay()
    store.refuse = lambda batch: None
    await heirs.replay()
    assert len(store.rows) == 1100
    assert sum(len(batch.ledger) for batch in store.batches) >= 1100
    second.close()


async def test_log_rows_are_bounded_and_counted(books, store, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_LOG_ROWS", 10)
    for number in range(15):
        books.log(make_log(number))
    assert books.dropped_logs == 5
    await books.flush()
    assert len(store.logs) == 10


async def test_events_are_bounded_with_an_alarm(books, monkeypatch, caplog):
    monkeypatch.setattr(writer_module, "MAX_EVENT_ROWS", 1)
    books.event(make_event(1))
    books.event(make_event(2))
    assert "event d2 was dropped" in caplog.text


async def test_too_many_waiting_rows_fail_closed(books, store, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_LEDGER_ROWS", 3)
    go_down(store)
    for number in range(3):
        run_one(books, number)
    assert not books.healthy
    assert not books.intent(make_row(9))


async def test_without_a_spool_rows_still_reach_the_store(books, store, spool):
    row = make_row(1)
    assert books.intent(row)
    spool._failed = "gone"
    assert not books.healthy
    assert not books.intent(make_row(2))
    books.settle(finish(row))
    spool._failed = ""
    await books.flush()
    assert len(store.rows) == 1
    assert "gtw_1" not in store.cursors


async def test_reserved_money_is_shown_and_kept_until_the_store_has_it(store, spool):
    changes = [{"key_a": 5, "key_b": 7}, {"key_a": 6}, {}]
    books = BooksWriter(store, spool, "gtw_1", Clock(), reserved=lambda: changes.pop(0) if changes else {})
    go_down(store)
    with pytest.raises(StoreDown):
        await books.flush()
    store.refuse = lambda batch: None
    await books.flush()
    assert store.reserved == {"key_a": 6, "key_b": 7}


async def test_a_row_that_json_cannot_hold_is_never_dispatched_but_never_lost(books, store):
    row = make_row(1)
    assert not books.intent(make_row(2, model_sent="\ud800"))
    assert books.intent(row)
    books.settle(finish(row, charged=2**80))
    await books.flush()
    assert store.rows["req_1", 1].charged_nanos == 2**80


async def test_sums_hold_exactly_what_was_settled_before_the_cut(books, store):
    """Settlements go on while the store works; the counter ends where the ledger is."""
    limiter = MemoryLimiter(Clock())
    key = Key(
        id="key_a", name="A", organization="org_1", owner="local",
        budget_nanos=10**12, budget_period=BudgetPeriod.TOTAL,
    )  # fmt: skip
    number = 0

    def pay(charged: int) -> None:
        nonlocal number
        number += 1
        lease = limiter.acquire((), ("key_a",))
        row = make_row(number, admitted_at=lease.admitted_at)
        assert books.intent(row)
        limiter.settle_nanos(lease, charged)
        books.settle(finish(row, charged))

    for _ in range(1300):
        pay(3)
    jobs = []

    def plan():
        jobs[:] = limiter.begin_rebuilds([key])
        return [job.window for job in jobs]

    store.during = lambda: pay(100)
    for _ in range(3):
        sums = await books.flush_and_sum(plan)
        pay(7)
        assert limiter.finish_rebuild(jobs[0], sums[0])
        store.during = lambda: None
        await books.flush()
        assert limiter.budget_state(key).spent_nanos == sum(r.charged_nanos for r in store.rows.values())
        store.during = lambda: pay(100)
    lease = limiter.acquire((Claim("key_a", Meter.NANOS, budget_rule(key), 5),))
    limiter.settle_nanos(lease, 5)


async def test_sums_while_the_store_is_away_raise(books, store):
    go_down(store)
    run_one(books, 1)
    with pytest.raises(StoreDown):
        await books.flush_and_sum(list)
    store.refuse = lambda batch: None
    assert await books.flush_and_sum(lambda: [("key_a", 0, 2**62)]) == [1000]


async def test_a_poison_row_does_not_stop_the_sums(books, store, spool):
    def refuse(batch):
        if any(row.request_id == "req_3" for row in batch.ledger):
            raise OverflowError("too large")

    store.refuse = refuse
    for number in range(6):
        run_one(books, number)
    [total] = await books.flush_and_sum(lambda: [("key_a", 0, 2**62)])
    assert total == sum(1000 + n - 1 for n in range(6) if n != 3)
    assert books.set_aside_rows == 1
    assert store.cursors["gtw_1"] == spool.position()
