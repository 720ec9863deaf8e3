"""What `LedgerStore` promises, on every backend."""

import asyncio
from contextlib import suppress
from typing import Any

from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.core.usage import Rates, Usage
from gateway_proxy.storage import Store

SLOT_MS = 900_000
NOON = 1_790_000_100_000 // SLOT_MS * SLOT_MS


def attempt(request_id: str, nanos: int = 100, **changes: Any) -> LedgerRow:
    values: dict[str, Any] = {
        "request_id": request_id, "attempt": 1, "gateway_id": "gtw_1", "organization": "default", "key_id": "key_a",
        "owner": "ada", "provider": "openai", "model_requested": "gpt-4o", "model_sent": "gpt-4o",
        "operation": "chat", "admitted_at": NOON, "charged_nanos": nanos, "outcome": "ok",
        "usage": Usage(input=10, cached_input=2, output=5, reasoning=1),
    }  # fmt: skip
    return LedgerRow(**(values | changes))


def request(request_id: str, **changes: Any) -> LogRow:
    values: dict[str, Any] = {
        "request_id": request_id, "at": NOON, "gateway_id": "gtw_1", "organization": "default", "key_id": "key_a",
        "owner": "ada", "model": "gpt-4o", "provider": "openai", "status": 200, "admitted": True, "latency_ms": 40,
    }  # fmt: skip
    return LogRow(**(values | changes))


def event(dedupe: str, id_: str = "evt_1") -> EventRow:
    return EventRow(
        id=id_, type="budget.threshold", at=NOON, organization="default", key_id="key_a", dedupe=dedupe,
        data={"percent": 50},
    )  # fmt: skip


async def spent(store: Store, key_id: str = "key_a", start: int = 0, end: int = 2**50) -> int:
    (nanos,) = await store.ledger.append_and_sum("gtw_1", Batch(), [(key_id, start, end)])
    return nanos


async def test_a_batch_is_counted_once_however_often_it_comes(store: Store) -> None:
    batch = Batch(
        ledger=[attempt("req_1"), attempt("req_1", 7, attempt=2), attempt("req_2", 1)],
        logs=[request("req_1"), request("req_2", status=500)],
        events=[event("key_a:50")],
        cursor=(3, 4096),
    )
    for _ in range(3):
        await store.ledger.append("gtw_1", batch)
    assert await spent(store) == 108
    assert (await store.keys.stats(["key_a"]))["key_a"].requests == 2
    assert (await store.keys.stats(["key_a"]))["key_a"].spent_nanos == 108
    (row,) = await store.reports.usage([], NOON, NOON + 1)
    assert (row.requests, row.errors, row.input_tokens, row.cached_tokens, row.output_tokens) == (
        2,
        1,
        36,
        6,
        18,
    )
    assert (row.cost_nanos, row.latency_ms) == (108, 80)
    assert len(await store.outbox.pending()) == 1


async def test_what_is_new_in_a_repeated_batch_is_counted(store: Store) -> None:
    await store.ledger.append("gtw_1", Batch(ledger=[attempt("req_1")], logs=[request("req_1")]))
    both = Batch(ledger=[attempt("req_1"), attempt("req_2", 5)], logs=[request("req_2"), request("req_1")])
    await store.ledger.append("gtw_1", both)
    assert await spent(store) == 105
    assert (await store.keys.stats(["key_a"]))["key_a"].requests == 2


async def test_a_row_twice_in_one_batch_counts_once(store: Store) -> None:
    await store.ledger.append("gtw_1", Batch(ledger=[attempt("req_1"), attempt("req_1")]))
    assert await spent(store) == 100


async def test_more_rows_than_fit_one_statement_all_arrive(store: Store) -> None:
    rows = [attempt(f"req_{number}", 1, key_id=f"key_{number}") for number in range(1003)]
    await store.ledger.append("gtw_1", Batch(ledger=rows))
    windows = [(f"key_{number}", 0, 2**50) for number in range(1003)]
    assert await store.ledger.append_and_sum("gtw_1", Batch(), windows) == [1] * 1003


async def test_a_compensation_enters_the_sums(store: Store) -> None:
    await store.ledger.append("gtw_1", Batch(ledger=[attempt("req_1", 100)]))
    await store.ledger.append(
        "gtw_1", Batch(ledger=[attempt("req_1", -40, kind="compensation", usage=Usage())])
    )
    assert await spent(store) == 60
    (row,) = await store.reports.usage(["key"], NOON, NOON + 1)
    assert (row.cost_nanos, row.input_tokens) == (60, 12)


async def test_a_token_spends_its_parents_budget_too(store: Store) -> None:
    await store.ledger.append(
        "gtw_1", Batch(ledger=[attempt("req_1", 30, key_id="key_child", parent_id="key_a")])
    )
    assert await spent(store, "key_child") == 30
    assert await spent(store, "key_a") == 30
    stats = await store.keys.stats(["key_a", "key_child"])
    assert {id_: stat.spent_nanos for id_, stat in stats.items()} == {"key_a": 30, "key_child": 30}


async def test_sums_follow_the_time_of_admission_and_the_window_is_half_open(store: Store) -> None:
    rows = [
        attempt("req_1", 1, admitted_at=NOON - 1, settled_at=NOON + 5),
        attempt("req_2", 10, admitted_at=NOON),
        attempt("req_3", 100, admitted_at=NOON + SLOT_MS - 1),
        attempt("req_4", 1000, admitted_at=NOON + SLOT_MS),
    ]
    windows = [
        ("key_a", NOON, NOON + SLOT_MS),
        ("key_a", 0, NOON),
        ("key_a", NOON + SLOT_MS, 2**50),
        ("key_b", 0, 2**50),
    ]
    assert await store.ledger.append_and_sum("gtw_1", Batch(ledger=rows), windows) == [110, 1, 1000, 0]


async def test_the_cursor_is_kept_per_gateway(store: Store) -> None:
    assert await store.ledger.cursor("gtw_1") is None
    await store.ledger.append("gtw_1", Batch(cursor=(1, 10)))
    await store.ledger.append("gtw_2", Batch(cursor=(9, 90)))
    await store.ledger.append("gtw_1", Batch(cursor=(2, 0)))
    await store.ledger.append("gtw_1", Batch(ledger=[attempt("req_1")]))
    assert await store.ledger.cursor("gtw_1") == (2, 0)
    assert await store.ledger.cursor("gtw_2") == (9, 90)


async def test_an_event_is_kept_once_per_occasion(store: Store) -> None:
    await store.ledger.append("gtw_1", Batch(events=[event("a", "evt_1"), event("b", "evt_2")]))
    await store.ledger.append("gtw_1", Batch(events=[event("a", "evt_3")]))
    assert await store.outbox.pending() == [
        event("a", "evt_1"),
        event("b", "evt_2"),
    ]


async def test_reserved_money_is_what_the_last_batch_said(store: Store) -> None:
    await store.ledger.append("gtw_1", Batch(reserved={"key_a": 500, "key_b": 1}))
    await store.ledger.append("gtw_1", Batch(ledger=[attempt("req_1")], reserved={"key_a": 0}))
    stats = await store.keys.stats(["key_a", "key_b"])
    assert [stats[id_].reserved_nanos for id_ in ("key_a", "key_b")] == [0, 1]


async def test_refusals_are_no_requests_and_name_no_model(store: Store) -> None:
    refused = request(
        "req_1", status=403, admitted=False, model="whatever-a-client-invents", error_code="model_not_found"
    )
    await store.ledger.append("gtw_1", Batch(logs=[refused]))
    (row,) = await store.reports.usage(["model"], NOON, NOON + 1)
    assert (row.group, row.requests, row.errors, row.denied) == (("",), 0, 0, 1)
    stat = (await store.keys.stats(["key_a"]))["key_a"]
    assert (stat.requests, stat.last_used_at) == (0, None)


async def test_last_used_is_the_latest_admission_in_whatever_order_they_come(store: Store) -> None:
    await store.ledger.append(
        "gtw_1", Batch(logs=[request("req_1", at=NOON + 9), request("req_2", at=NOON + 5)])
    )
    await store.ledger.append("gtw_1", Batch(logs=[request("req_3", at=NOON + 7)]))
    assert (await store.keys.stats(["key_a"]))["key_a"].last_used_at == NOON + 9


async def test_all_of_a_row_is_kept(store: Store) -> None:
    usage = Usage(*range(1, 14))
    rates = Rates(*range(21, 34), source="config", version="2026-01-01")
    row = attempt(
        "req_1", rates=rates, usage=usage, period="2026-01", parent_id="key_p", model_reported="gpt-4o-x"
    )
    await store.ledger.append("gtw_1", Batch(ledger=[row, attempt("req_2", rates=None)]))
    kept, unpriced = await store.reports.ledger_rows(["req_1", "req_2"])
    assert kept == row
    assert unpriced.rates is None


async def test_numbers_beyond_the_database_are_cut_not_fatal(store: Store) -> None:
    absurd = attempt("req_1", 5, usage=Usage(output=2**70))
    await store.ledger.append("gtw_1", Batch(ledger=[absurd, attempt("req_2", 1)], cursor=(1, 1)))
    assert await spent(store) == 6
    assert await store.ledger.cursor("gtw_1") == (1, 1)


async def test_a_cancelled_batch_is_there_whole_or_not_at_all(store: Store) -> None:
    for number in range(40):
        batch = Batch(
            ledger=[attempt(f"req_{number}", 1)], logs=[request(f"req_{number}")], cursor=(number, 0)
        )
        task = asyncio.ensure_future(store.ledger.append("gtw_1", batch))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        nanos = await spent(store)
        stat = (await store.keys.stats(["key_a"]))["key_a"]
        assert nanos == stat.spent_nanos == stat.requests
    for number in range(40):
        await store.ledger.append(
            "gtw_1", Batch(ledger=[attempt(f"req_{number}", 1)], logs=[request(f"req_{number}")])
        )
    assert await spent(store) == 40
