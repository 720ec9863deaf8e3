import re
from typing import Any

import pytest

from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.core.usage import Usage
from gateway_proxy.storage import Store
from gateway_proxy.storage import reports as reports_module
from gateway_proxy.storage.database import Row
from gateway_proxy.storage.maintenance import prune_request_log
from gateway_proxy.storage.reports import LogQuery, Reports, UsageRow
from tests.support.stores import on_sqlite

DAY_MS = 86_400_000
START = 20_000 * DAY_MS  # 2024-10-04
MODELS = ("gpt-4o", "claude", "gemini")


def log(number: int, **changes: Any) -> LogRow:
    values: dict[str, Any] = {
        "request_id": f"req_{number:03}", "at": START + number * 10_000, "gateway_id": "gtw_1",
        "organization": "default", "key_id": f"key_{number % 2}", "key_name": "Prod", "owner": "ada",
        "model": MODELS[number % 3], "provider": "openai", "status": 500 if number % 10 == 9 else 200,
        "error_code": "upstream_broken" if number % 10 == 9 else "", "admitted": True, "stream": True,
        "latency_ms": 10, "first_byte_ms": 3,
    }  # fmt: skip
    return LogRow(**(values | changes))


@pytest.fixture
async def filled(store: Store) -> Store:
    # The last one began first: a long stream arrives when it ends.
    logs = [log(number) for number in range(60)] + [log(60, at=START - 5, key_id="key_9", first_byte_ms=None)]
    await store.ledger.append("gtw_1", Batch(logs=logs[:31]))
    await store.ledger.append("gtw_1", Batch(logs=logs[31:]))
    return store


async def walk(store: Store, query: LogQuery, limit: int = 7) -> list[int]:
    numbers: list[int] = []
    cursor = None
    while True:
        page = await store.reports.logs(query, limit=limit, cursor=cursor)
        numbers += [int(row.request_id[4:]) for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return numbers


NEWEST = [*range(59, -1, -1), 60]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (LogQuery(), NEWEST),
        (LogQuery(key_id="key_1"), list(range(59, 0, -2))),
        (LogQuery(key_id="key_9"), [60]),
        (LogQuery(key_id="key_none"), []),
        (LogQuery(model="claude"), list(range(58, 0, -3))),
        (LogQuery(model="claude", key_id="key_0"), list(range(58, 0, -6))),
        (LogQuery(provider="openai", model="gpt-4o", key_id="key_9"), [60]),
        (LogQuery(status=500), [59, 49, 39, 29, 19, 9]),
        (LogQuery(status=200, key_id="key_1"), [n for n in range(59, 0, -2) if n % 10 != 9]),
        (LogQuery(errors_only=True, key_id="key_1"), [59, 49, 39, 29, 19, 9]),
        (LogQuery(error_code="upstream_broken", model="claude"), [49, 19]),
        (LogQuery(error_code="other"), []),
        (LogQuery(start_ms=START + 50_000, end_ms=START + 90_000), [8, 7, 6, 5]),
        (LogQuery(start_ms=START + 50_000, end_ms=START + 90_000, provider="openai"), [8, 7, 6, 5]),
        (LogQuery(end_ms=START), [60]),
        (LogQuery(organization="acme"), []),
        (LogQuery(owner="ada", start_ms=START + 590_000), [59]),
    ],
)
async def test_the_log_is_paged_from_the_newest(filled: Store, query: LogQuery, expected: list[int]) -> None:
    assert await walk(filled, query) == expected


async def test_requests_of_the_same_millisecond_are_each_shown_once(store: Store) -> None:
    await store.ledger.append("gtw_1", Batch(logs=[log(number, at=START) for number in range(20)]))
    for query in (LogQuery(), LogQuery(provider="openai"), LogQuery(key_id="key_1")):
        numbers = await walk(store, query, limit=3)
        assert len(set(numbers)) == len(numbers) == (10 if query.key_id else 20)


async def test_a_row_comes_back_as_it_was_written(filled: Store) -> None:
    assert await filled.reports.find_log("req_003") == log(3)
    assert await filled.reports.find_log("req_060") == log(
        60, at=START - 5, key_id="key_9", first_byte_ms=None
    )
    assert await filled.reports.find_log("req_none") is None


async def test_following_gives_what_arrives_even_if_it_began_long_ago(filled: Store) -> None:
    first = await filled.reports.follow(LogQuery())
    assert first.rows == []
    assert (await filled.reports.follow(LogQuery(), after=first.next_cursor)) == first
    await filled.ledger.append("gtw_1", Batch(logs=[log(70), log(71, at=START - 99), log(72)]))
    page = await filled.reports.follow(LogQuery(), after=first.next_cursor, limit=2)
    assert [row.request_id for row in page.rows] == ["req_070", "req_071"]
    page = await filled.reports.follow(LogQuery(key_id="key_0"), after=page.next_cursor)
    assert [row.request_id for row in page.rows] == ["req_072"]


@pytest.mark.parametrize("cursor", ["", "1", "1.x", "-1.2", "1.2.3", "9" * 40 + ".1"])
async def test_a_foreign_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await store.reports.logs(LogQuery(), cursor=cursor)
    with pytest.raises(ValueError, match="cursor"):
        await store.reports.follow(LogQuery(), after=cursor + "x")


def used(number: int, at: int, **changes: Any) -> LedgerRow:
    values: dict[str, Any] = {
        "request_id": f"req_{number:03}", "attempt": 1, "gateway_id": "gtw_1", "organization": "default",
        "key_id": f"key_{number % 2}", "owner": "ada", "provider": "openai", "model_requested": MODELS[number % 3],
        "model_sent": "x", "operation": "chat", "admitted_at": at, "charged_nanos": 10**number,
        "usage": Usage(input=1, cached_input=2, output=4),
    }  # fmt: skip
    return LedgerRow(**(values | changes))


async def test_usage_is_summed_by_each_group(store: Store) -> None:
    ledger = [used(number, START + number * DAY_MS // 2) for number in range(6)]
    await store.ledger.append("gtw_1", Batch(ledger=ledger))
    end = START + 3 * DAY_MS

    async def costs(*groups: Any, **filters: Any) -> dict[tuple[str, ...], int]:
        return {row.group: row.cost_nanos for row in await store.reports.usage(groups, START, end, **filters)}

    assert await costs() == {(): 111_111}
    assert await costs("day") == {("2024-10-04",): 11, ("2024-10-05",): 1_100, ("2024-10-06",): 110_000}
    assert await costs("key") == {("key_0",): 10_101, ("key_1",): 101_010}
    assert await costs("model") == {("claude",): 10_010, ("gemini",): 100_100, ("gpt-4o",): 1_001}
    assert await costs("provider", "owner") == {("openai", "ada"): 111_111}
    assert await costs("key", "day", key_id="key_0") == {
        ("key_0", "2024-10-04"): 1, ("key_0", "2024-10-05"): 100, ("key_0", "2024-10-06"): 10_000,
    }  # fmt: skip
    assert await costs(organization="acme") == {}
    assert await costs("day", owner="bob") == {}
    (row,) = await store.reports.usage([], START, START + DAY_MS)
    assert row == UsageRow((), 0, 0, 0, 6, 4, 8, 11, 0)


async def test_a_range_covers_whole_hours_and_excludes_its_end(store: Store) -> None:
    rows = [used(0, START - 1), used(1, START), used(2, START + 3_599_999), used(3, START + 3_600_000)]
    await store.ledger.append("gtw_1", Batch(ledger=rows))
    (row,) = await store.reports.usage([], START, START + 3_600_000)
    assert row.cost_nanos == 110


async def test_a_bounded_search_pauses_and_goes_on_where_it_was(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(reports_module, "_FIRST_SCAN", 4)
    logs = [log(n, at=START + n, provider="rare" if n in (0, 59) else "openai") for n in range(60)]
    await store.ledger.append("gtw_1", Batch(logs=logs))
    pages = []
    cursor = None
    while True:
        page = await store.reports.logs(LogQuery(provider="rare"), limit=3, cursor=cursor, max_seconds=0.0)
        pages.append([int(row.request_id[4:]) for row in page.rows])
        if (cursor := page.next_cursor) is None:
            break
    assert pages == [[59], *[[]] * 13, [0], []]
    assert await walk(store, LogQuery(provider="rare"), limit=1) == [59, 0]
    whole = await store.reports.logs(LogQuery(provider="rare"), limit=3, max_seconds=60)
    assert len(whole.rows) == 2 and whole.next_cursor is None


async def test_following_never_looks_twice_at_what_did_not_match(filled: Store) -> None:
    start = await filled.reports.follow(LogQuery(key_id="key_none"), after="0")
    assert start.rows == []
    assert start.next_cursor == (await filled.reports.follow(LogQuery())).next_cursor


class Plans:
    """A database that also explains each query it is given."""

    def __init__(self, store: Store) -> None:
        self._db = store.db
        self.plans: list[str] = []

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        steps = await self._db.fetch(f"EXPLAIN QUERY PLAN {sql}", *args)
        self.plans.append("; ".join(step[3] for step in steps))
        return await self._db.fetch(sql, *args)

    async def fetch_one(self, sql: str, *args: Any) -> Row | None:
        rows = await self.fetch(sql, *args)
        return rows[0] if rows else None


@on_sqlite
@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_common_query_scans_or_sorts_the_log(filled: Store, analyzed: bool) -> None:
    if analyzed:
        await filled.db.execute("ANALYZE")
    plans = Plans(filled)
    reports = Reports(plans)  # type: ignore[arg-type]
    queries = (
        LogQuery(), LogQuery(key_id="key_1"), LogQuery(model="claude"), LogQuery(provider="openai"),
        LogQuery(status=500), LogQuery(status=200), LogQuery(errors_only=True), LogQuery(error_code="x"),
        LogQuery(key_id="key_1", model="claude", start_ms=START, end_ms=START + DAY_MS),
        LogQuery(organization="default"), LogQuery(organization="default", owner="ada", status=500),
        LogQuery(organization="default", errors_only=True), LogQuery(owner="ada", error_code="upstream_broken"),
        LogQuery(organization="default", owner="ada", key_id="key_1", model="claude", provider="openai", status=200),
    )  # fmt: skip
    for query in queries:
        await reports.logs(query, limit=3)
        await reports.logs(query, limit=3, cursor=f"{START + 300_000}.5")
        await reports.follow(query, after="10")
    await reports.ledger_rows(["req_1", "req_2"])
    await reports.usage(["day"], START, START + DAY_MS)
    await reports.usage(["day"], START, START + DAY_MS, key_id="key_1")
    assert len(plans.plans) == 6 * len(queries) + 3
    for plan in plans.plans:
        assert not re.search(r"\bSCAN\b", plan), plan
        if "usage_hourly" not in plan:  # groups of a roll-up may be sorted
            assert "TEMP B-TREE" not in plan, plan


async def test_pruned_requests_leave_the_pages_of_the_rest_whole(filled: Store) -> None:
    assert await prune_request_log(filled.db, START + 300_000, limit=1000) == 31
    for query in (LogQuery(), LogQuery(provider="openai")):
        assert await walk(filled, query) == list(range(59, 29, -1))


async def test_what_was_refused_in_the_shadow_is_found(store: Store) -> None:
    rows = [log(n, would_deny=("", "ip_not_allowed", "insufficient_quota")[n % 3]) for n in range(30)]
    await store.ledger.append("gtw_1", Batch(logs=rows))
    assert (await store.reports.logs(LogQuery())).rows[0].would_deny == "insufficient_quota"
    for asked, expected in (("any", 20), ("ip_not_allowed", 10), ("other", 0)):
        for query in (
            LogQuery(would_deny=asked),
            LogQuery(would_deny=asked, organization="default", owner="ada"),
        ):
            assert len(await walk(store, query)) == expected
    followed = await store.reports.follow(LogQuery(would_deny="any"), after="0")
    assert len(followed.rows) == 20
