"""Whatever was carried and whatever came late: reports from the sums are the reports from the hours."""

import random
from typing import Any

import pytest

from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import Store
from gateway_proxy.storage.usage_sums import find_field

HOUR_MS = 3_600_000
FIRST = 480_000  # an hour, and the start of a day
GROUPS = (
    (),
    ("key",),
    ("owner",),
    ("model",),
    ("day",),
    ("hour",),
    ("provider", "day"),
    ("hour", "key"),
    ("key", "model"),
)
FILTERS: tuple[dict[str, str], ...] = (
    {}, {"owner": "ada"}, {"key_id": "key_1"}, {"model": "b"}, {"provider": "p"}, {"owner": "bob", "model": "a"},
    {"key_id": "key_0", "provider": "q"}, {"owner": "*"},
)  # fmt: skip


def make_batch(number: int, hour: int) -> Batch:
    """A request and its attempt, each in some group."""
    key, owner, model = f"key_{number % 3}", ("ada", "bob")[number % 2], "ab"[number % 5 % 2]
    shared: dict[str, Any] = {"gateway_id": "g", "organization": "default", "owner": owner, "key_id": key}
    at = (FIRST + hour) * HOUR_MS + number
    admitted = number % 7 != 0
    provider = "pq"[number % 2]
    log = LogRow(request_id=f"req_{number}", at=at, model=model, provider=provider, admitted=admitted,
                 status=200 if admitted else 429, latency_ms=number, **shared)  # fmt: skip
    attempt = LedgerRow(request_id=f"req_{number}", attempt=1, provider=provider, model_requested=model, model_sent=model,
                        operation="chat", admitted_at=at, charged_nanos=1 << number, **shared)  # fmt: skip
    return Batch(logs=[log], ledger=[attempt] if admitted else [])


async def report_all(store: Store, organization: str | None, start: int, end: int) -> list[Any]:
    """Every report under every filter."""
    return [
        await store.reports.usage(
            list(by), start * HOUR_MS, end * HOUR_MS, organization=organization, **filters
        )  # type: ignore[arg-type]
        for by in GROUPS
        for filters in FILTERS
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_sums_and_hours_tell_the_same(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(24):
        if number == 16:
            edge = chance.randrange(76)
            while await store.usage_sums.carry(FIRST + edge, hours=5):
                pass
        await store.ledger.append("g", make_batch(number, chance.randrange(76)))
    start = FIRST + chance.randrange(40)
    for end in (start + 1, start + 30, start + 90):
        # Without an organization nothing is read from the sums.
        assert await report_all(store, "default", start, end) == await report_all(store, None, start, end)


async def test_an_hour_is_carried_once_and_only_when_it_is_over(store: Store) -> None:
    await store.ledger.append("g", make_batch(1, 0))
    await store.ledger.append("g", make_batch(2, 30))
    assert await store.usage_sums.carry(FIRST) == 0
    assert await store.db.fetch("SELECT * FROM usage_sums") == []
    assert await store.usage_sums.carry(FIRST + 30) == 29
    assert await store.usage_sums.carry(FIRST + 30) == 0
    assert await store.usage_sums.carry(FIRST + 30) == 0
    assert await store.usage_sums.carried_to() == FIRST + 30
    days = "SELECT value, requests, cost_nanos FROM usage_sums WHERE step_hours = 24 AND field = 'key_id' AND owner = 'bob'"
    assert await store.db.fetch(days) == [("key_1", 1, 2)]
    await store.ledger.append("g", make_batch(13, 1))
    assert await store.db.fetch(days) == [("key_1", 2, 2 + (1 << 13))]


@pytest.mark.parametrize(
    ("groups", "filters", "field"),
    [
        ((), (), "provider"), (("hour",), ("owner",), "provider"), (("owner",), ("owner", "organization"), "owner"),
        (("key_id", "hour"), ("key_id",), "key_id"), (("key_id",), ("model",), None), (("owner", "model"), (), None),
        (("owner",), ("key_id",), None), (("model",), ("owner",), "model"),
    ],
)  # fmt: skip
def test_one_field_and_the_owner_are_answered(groups: Any, filters: Any, field: str | None) -> None:
    assert find_field(groups, filters) == field
