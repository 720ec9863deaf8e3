import csv
import io

import pytest

from dashboard.views.overview import compare, describe_span
from gateway_proxy.admin.actor import Role
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from tests.support.dashboard import Dashboard, acting_as


async def use(site: Dashboard, name: str = "Production <b>", owner: str = "eve@example.com") -> str:
    await site.store.registry.add_member("default", owner)
    created = await site.admin.keys.create(site.actor, {"name": name, "owner": owner})
    now = Clock().now_ms()
    key_id = created.key["id"]
    common = {"gateway_id": "g", "organization": "default", "owner": owner, "key_id": key_id}
    log = LogRow(
        request_id="req_1",
        at=now,
        model="gpt-4o",
        provider="p",
        admitted=True,
        status=200,
        latency_ms=1240,
        **common,
    )
    row = LedgerRow(request_id="req_1", attempt=1, provider="p", model_requested="gpt-4o", model_sent="m", operation="chat",
                    admitted_at=now, charged_nanos=12_340_000_000, **common)  # fmt: skip
    await site.store.ledger.append("g", Batch(logs=[log], ledger=[row]))
    return str(key_id)


async def test_an_empty_store_teaches_the_first_request(dashboard: Dashboard) -> None:
    page = await dashboard.get("")
    assert page.status == 200
    assert "Send the first request" in page.text
    assert f"{dashboard.client.make_url('/v1/chat/completions')}" in page.text


async def test_what_was_used_is_drawn_and_told(dashboard: Dashboard) -> None:
    await use(dashboard)
    page = await dashboard.get("?range=1h")
    assert "Send the first request" not in page.text
    for told in (
        "$12.34",
        "Production &lt;b&gt;",
        "gpt-4o",
        "Latency as a table",
        '<title id="requests-title">',
    ):
        assert told in page.text
    assert "<b>" not in page.text


async def test_members_see_their_own_numbers(dashboard: Dashboard) -> None:
    await use(dashboard)
    dashboard.actor = acting_as(Role.MEMBER, "mallory@example.com")
    page = await dashboard.get("?range=1h")
    assert "$12.34" not in page.text
    assert "Top owners" not in page.text
    dashboard.actor = acting_as(Role.MEMBER, "eve@example.com")
    assert "$12.34" in (await dashboard.get("?range=1h")).text


async def test_the_numbers_come_as_a_file(dashboard: Dashboard) -> None:
    await use(dashboard)
    page = await dashboard.get("?range=1h&format=csv")
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert [row["cost_usd"] for row in rows if row["requests"] == "1"] == ["12.34"]


@pytest.mark.parametrize(
    "query", ["?range=9y", "?from=x", "?range=custom&from=2026-01-02T00:00&to=2026-01-01T00:00"]
)
async def test_a_range_that_cannot_be_followed_is_told(dashboard: Dashboard, query: str) -> None:
    page = await dashboard.get(query)
    assert page.status == 200
    assert 'role="alert"' in page.text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [(0, 5, ""), (5, 0, ""), (None, 3, ""), (110, 100, "+10 %"), (50, 100, "−50 %"), (7, 7, "as before")],
)
def test_a_change_is_told_in_percent(now: int | None, before: int | None, text: str) -> None:
    assert compare(now, before) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5 minutes"), (3600, "1 hour"), (86_400, "1 day"), (21_600, "6 hours")]
)
def test_a_step_is_told_in_words(seconds: int, text: str) -> None:
    assert describe_span(seconds) == text
