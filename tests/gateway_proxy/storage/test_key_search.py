from dataclasses import replace
from typing import Any

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import Store
from gateway_proxy.storage.key_search import KeyQuery, KeyStats, StatusFilter, escape_like, search
from tests.support.stores import on_sqlite

NOW = FakeClock().now_ms()
PREVIEW = "gwk_AbCd…wxyz"
KEYS = [
    Key(id="key_1", name="alpha", organization="default", owner="zoe", preview=PREVIEW, created_at=5),
    Key(id="key_2", name="Beta", organization="default", owner="ada", created_at=4, inactive=True),
    Key(id="key_3", name="gamma 100%", organization="default", owner="ada", created_at=3, expires_at=NOW),
    Key(
        id="key_4",
        name="gamma_x",
        organization="default",
        owner="bob",
        created_at=2,
        revoked_at=1,
        expires_at=1,
    ),
    Key(id="key_5", name="Ärger", organization="acme", owner="bob", created_at=1, parent_id="key_1"),
]


@pytest.fixture
async def filled(store: Store) -> Store:
    async with store.keys.change() as change:
        for key in KEYS:
            await change.save_key(key)
    logs = [
        LogRow(request_id=f"req_{number}", at=NOW + number, gateway_id="gtw_1", key_id=key_id, admitted=True)
        for number, key_id in enumerate(["key_2", "key_2", "key_2", "key_4", "key_5"])
    ]
    spend = LedgerRow(
        request_id="req_0", attempt=1, gateway_id="gtw_1", organization="default", key_id="key_2", provider="p",
        model_requested="m", model_sent="m", operation="chat", admitted_at=NOW, charged_nanos=9,
    )  # fmt: skip
    await store.ledger.append("gtw_1", Batch(logs=logs, ledger=[spend], reserved={"key_2": 4}))
    return store


async def find(store: Store, query: KeyQuery) -> list[str]:
    page = await store.keys.search(query)
    assert await store.keys.count(query) == len(page.keys)
    return [key.id[-1] for key, _ in page.keys]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (KeyQuery(), "54321"),
        (KeyQuery(descending=True), "12345"),
        (KeyQuery(sort="name"), "12345"),
        (KeyQuery(sort="name", descending=True), "54321"),
        (KeyQuery(sort="owner"), "23451"),
        (KeyQuery(sort="status"), "15324"),
        (KeyQuery(sort="requests", descending=True), "25431"),
        (KeyQuery(sort="requests"), "13452"),
        (KeyQuery(sort="requests", search="A"), "1342"),
        (KeyQuery(organization="default", sort="requests", descending=True), "2431"),
        (KeyQuery(organization="acme"), "5"),
        (KeyQuery(organization="acme", sort="requests"), "5"),
        (KeyQuery(owner="ada"), "32"),
        (KeyQuery(owner="ada", sort="requests"), "32"),
        (KeyQuery(parent_id="key_1"), "5"),
        (KeyQuery(status="active"), "51"),
        (KeyQuery(status="inactive"), "2"),
        (KeyQuery(status="expired"), "3"),
        (KeyQuery(status="revoked"), "4"),
        (KeyQuery(search="GAMMA"), "43"),
        (KeyQuery(search="beta"), "2"),
        (KeyQuery(search="äRG"), "5"),
        (KeyQuery(search="abcd…"), "1"),
        (KeyQuery(search="0%"), "3"),
        (KeyQuery(search="%"), "3"),
        (KeyQuery(search="a_x"), "4"),
        (KeyQuery(search="\\"), ""),
    ],
)
async def test_what_a_query_finds_and_in_which_order(filled: Store, query: KeyQuery, expected: str) -> None:
    assert "".join(await find(filled, query)) == expected


async def test_the_counts_stand_beside_each_key(filled: Store) -> None:
    page = await filled.keys.search(KeyQuery(search="beta"))
    assert page.keys == [(KEYS[1], KeyStats(3, NOW + 2, 4, 9))]
    assert await filled.keys.stats(["key_2", "key_none"]) == {
        "key_2": KeyStats(3, NOW + 2, 4, 9),
        "key_none": KeyStats(),
    }


async def test_totals_are_of_the_keys_in_view(filled: Store) -> None:
    assert await filled.keys.total_requests() == 5
    assert await filled.keys.total_requests("default") == 4
    assert await filled.keys.total_requests("default", "ada") == 3
    assert await filled.keys.total_requests("nobody") == 0


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"inactive": True}, "inactive"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW, "inactive": True}, "expired"),
        ({}, "active"),
    ],
)
async def test_tokens_sleep_and_expire_with_their_key(
    filled: Store, changed: dict[str, Any], status: StatusFilter
) -> None:
    async with filled.keys.change() as change:
        await change.save_key(replace(KEYS[0], **changed))
    assert {"1", "5"} <= set(await find(filled, KeyQuery(status=status)))
    order = "".join(await find(filled, KeyQuery(sort="status")))
    assert order == {"active": "15324", "inactive": "31254", "expired": "13524"}[status]
    for other in {"active", "inactive", "expired", "revoked"} - {status}:
        assert "5" not in await find(filled, KeyQuery(status=other))  # type: ignore[arg-type]


@pytest.mark.parametrize("sort", ["name", "owner", "status", "requests", "created_at"])
async def test_pages_follow_each_other_without_gap_or_repeat(store: Store, sort: str) -> None:
    async with store.keys.change() as change:
        for number in range(25):
            key = replace(KEYS[0], id=f"key_{number:02}", name=f"n{number % 3}", created_at=number % 4)
            await change.save_key(key)
    cursor, seen = None, []
    for _ in range(3):
        page = await store.keys.search(KeyQuery(sort=sort, limit=10, cursor=cursor))  # type: ignore[arg-type]
        seen += [key.id for key, _ in page.keys]
        cursor = page.next_cursor
    assert cursor is None
    assert sorted(seen) == [f"key_{number:02}" for number in range(25)]


@pytest.mark.parametrize("cursor", ["-1", "x", "", "1.5", "9" * 30, "²"])
async def test_a_foreign_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await store.keys.search(KeyQuery(cursor=cursor))


@on_sqlite
@pytest.mark.parametrize("sort", ["k.search, k.id", "k.owner, k.id", "k.created_at, k.id"])
async def test_an_organizations_list_is_walked_in_index_order(store: Store, sort: str) -> None:
    plan = await store.db.fetch(
        f"EXPLAIN QUERY PLAN SELECT k.id FROM keys k WHERE k.organization = 'x' ORDER BY {sort}"
    )
    assert all("SEARCH k USING COVERING INDEX" in row[3] for row in plan), plan


@on_sqlite
async def test_an_organizations_keys_by_requests_are_walked_in_index_order(store: Store) -> None:
    plans: list[str] = []

    class Explaining:
        async def fetch(self, sql: str, *args: object) -> list[tuple[object, ...]]:
            plans.extend(row[3] for row in await store.db.fetch(f"EXPLAIN QUERY PLAN {sql}", *args))
            return []

    for organization in ("default", None):
        await search(Explaining(), KeyQuery(organization=organization, sort="requests"), NOW)  # type: ignore[arg-type]
    assert len(plans) == 4
    assert not [plan for plan in plans if "TEMP B-TREE" in plan or plan == "SCAN k"], plans


def test_wildcards_are_taken_literally() -> None:
    assert escape_like("50%_\\") == "50\\%\\_\\\\"
