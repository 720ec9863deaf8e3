import csv
import io
import json
import re

import pytest

from dashboard.views.keys import describe_budget
from gateway_proxy.admin.actor import Role
from tests.support.dashboard import OWNER, PREFIX, Dashboard, acting_as

KEYS = "/configuration/api-keys"
HOSTILE = "\"><script>alert(1)</script>&'{{ 7 * 7 }}"


async def make(dashboard: Dashboard, name: str, **members: object) -> str:
    return str((await dashboard.admin.keys.create(OWNER, {"name": name, **members})).key["id"])


def names(text: str) -> list[str]:
    return re.findall(r'class="clip key-name"[^>]*>([^<]*)</a>', text)


async def test_an_empty_list_teaches(dashboard: Dashboard) -> None:
    text = (await dashboard.get(KEYS)).text
    assert "No keys yet" in text
    assert text.count(f'href="{PREFIX}{KEYS}/new"') == 2


async def test_the_columns_stand_in_their_order(dashboard: Dashboard) -> None:
    await make(dashboard, "One")
    head = (await dashboard.get(KEYS)).text.partition("<thead>")[2].partition("</thead>")[0]
    labels = [
        re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<th[^>]*>(.*?)</th>", head, re.DOTALL)
    ]
    assert labels == [
        "Name", "Owner", "Key", "Status", "Expires", "Last used", "Created", "Requests", "Usage", "Actions",
    ]  # fmt: skip


async def test_search_status_and_order_are_in_the_address(dashboard: Dashboard) -> None:
    for name in ("alpha", "Beta", "alphabet"):
        await make(dashboard, name)
    await dashboard.admin.keys.deactivate(OWNER, await make(dashboard, "alpine"))
    assert names((await dashboard.get(f"{KEYS}?search=ALPH&sort=name")).text) == ["alpha", "alphabet"]
    assert names((await dashboard.get(f"{KEYS}?status=inactive")).text) == ["alpine"]
    page = await dashboard.get(f"{KEYS}?sort=name&order=desc")
    assert names(page.text) == ["Beta", "alpine", "alphabet", "alpha"]
    assert 'aria-sort="descending"' in page.text
    without_script = page.text.partition("<noscript>")[2].partition("</noscript>")[0]
    assert re.findall(r'name="(\w+)" value="(\w+)"', without_script) == [("sort", "name"), ("order", "desc")]


async def test_a_preview_is_found(dashboard: Dashboard) -> None:
    await make(dashboard, "other")
    key = (await dashboard.admin.keys.create(OWNER, {"name": "mine"})).key
    assert names((await dashboard.get(KEYS, params={"search": key["preview"][-4:]})).text) == ["mine"]


async def test_nothing_found_says_so(dashboard: Dashboard) -> None:
    await make(dashboard, "one")
    text = (await dashboard.get(f"{KEYS}?search=zzz")).text
    assert "No key matches" in text
    assert "Show all keys" in text


async def test_pages(dashboard: Dashboard) -> None:
    for index in range(26):
        await make(dashboard, f"key {index:02}")
    first = (await dashboard.get(f"{KEYS}?sort=name")).text
    assert len(names(first)) == 25
    assert "1–25 of 26 keys" in first
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    second = (await dashboard.get(f"{KEYS}?sort=name&page=2")).text
    assert names(second) == ["key 25"]
    assert "26–26 of 26 keys" in second
    assert "This page of the list is empty" in (await dashboard.get(f"{KEYS}?page=9")).text


async def test_members_see_their_own_and_viewers_cannot_act(dashboard: Dashboard) -> None:
    key_id = await make(dashboard, "of the owner")
    dashboard.actor = acting_as(Role.MEMBER)
    await dashboard.admin.keys.create(dashboard.actor, {"name": "own"})
    page = await dashboard.get(KEYS)
    assert names(page.text) == ["own"]
    assert "Create Key</a>" in page.text
    assert "Create Key for User" not in page.text
    assert (await dashboard.get(f"{KEYS}/{key_id}")).status == 404
    dashboard.actor = acting_as(Role.VIEWER)
    page = await dashboard.get(KEYS)
    assert set(names(page.text)) == {"of the owner", "own"}
    for text in (page.text, (await dashboard.get(f"{KEYS}/{key_id}")).text):
        assert "/new" not in text
        assert "/delete" not in text
        assert "Rotate" not in text


async def test_details_show_what_was_used(dashboard: Dashboard) -> None:
    key_id = await make(
        dashboard, "x", budget_usd="25", requests_per_minute=600, allowed_models=["gpt-4o"], metadata={"team": "a"}
    )  # fmt: skip
    dashboard.view.counted[key_id] = {
        "requests": {"limit": 600, "remaining": 512, "reset_ms": 10},
        "parallel": {"limit": 50, "used": 3},
        "budget": {
            "limit_usd": "25.00",
            "spent_usd": "20.00",
            "reserved_usd": "1.00",
            "remaining_usd": "4.00",
            "resets_at": None,
        },
    }
    text = re.sub(r"\s+", " ", (await dashboard.get(f"{KEYS}/{key_id}")).text)
    for shown in (
        "512 of 600 left",
        "3 of 50 running",
        "<strong>$20.00</strong> of $25.00 in total",
        "$1.00 reserved by running requests, $4.00 left.",
        "<code>gpt-4o</code>",
        "&#34;team&#34;: &#34;a&#34;",
        "No request yet.",
        "No gateway is attached just now.",
    ):
        assert shown in text


async def test_a_silent_gateway_is_told(dashboard: Dashboard) -> None:
    key_id = await make(dashboard, "x", budget_usd="25", budget_period="month")
    dashboard.view.silent = True
    text = (await dashboard.get(f"{KEYS}/{key_id}")).text
    assert "Not known: the gateway does not answer just now." in text
    assert "not known, the gateway does not answer." in text


async def test_our_script_gets_the_dialog_alone(dashboard: Dashboard) -> None:
    key_id = await make(dashboard, "x")
    whole = (await dashboard.get(f"{KEYS}/{key_id}")).text
    part = (await dashboard.get(f"{KEYS}/{key_id}", headers={"X-Dashboard-Part": "1"})).text
    assert "<dialog open" in whole
    assert "<main" in whole
    assert " inert" in whole
    assert "<dialog open" in part
    assert "<main" not in part


async def test_a_dialog_keeps_the_list_behind_it(dashboard: Dashboard) -> None:
    key_id = await make(dashboard, "searched")  # longer than what a preview could hold by chance
    await make(dashboard, "other")
    text = (await dashboard.get(f"{KEYS}/{key_id}?search=searched")).text
    assert names(text) == ["searched"]
    assert f'href="{PREFIX}{KEYS}?search=searched" data-dialog-link aria-label="Close"' in text


@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/edit", "/{id}/delete", "/{id}/rotate", "/{id}/revoke"])
async def test_what_is_stored_is_text(dashboard: Dashboard, path: str) -> None:
    key_id = await make(
        dashboard, HOSTILE, metadata={HOSTILE: HOSTILE}, allowed_models=["<b>", "'\"`"], mcp={"tools": {"x": ["<i>"]}}
    )  # fmt: skip
    text = (await dashboard.get(KEYS + path.format(id=key_id))).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert "{{ 7 * 7 }}" in text
    assert "<b>" not in text
    assert "<i>" not in text


@pytest.mark.parametrize("key_id", ["key_00000000000000000000000000", "key_x", "key_<b>"])
async def test_an_unknown_key_is_an_error_page(dashboard: Dashboard, key_id: str) -> None:
    page = await dashboard.get(f"{KEYS}/{key_id}")
    assert page.status == 404
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    ("limit", "live", "total_spent", "period", "expected"),
    [
        (None, None, "1.00", "total", None),
        ("10.00", None, "4.00", "total", ("4.00", 40)),
        ("10.00", None, "4.00", "day", (None, None)),
        ("10.00", "12.00", "4.00", "day", ("12.00", 100)),
        ("0.00", None, "0.00", "total", ("0.00", 100)),
    ],
)
def test_budget(limit: str | None, live: str | None, total_spent: str, period: str, expected: object) -> None:
    key = {"budget_usd": limit, "budget_period": period, "spent_usd": total_spent}
    rest = {"reserved_usd": "0.00", "remaining_usd": "0.00", "resets_at": None}
    counters = None if live is None else {"budget": {"spent_usd": live, **rest}}
    budget = describe_budget(key, counters)
    assert (budget and (budget["spent_usd"], budget["percent"])) == expected


async def test_the_export_holds_every_page(dashboard: Dashboard) -> None:
    for index in range(30):
        await make(dashboard, f'Key "{index}", ünï')
    await make(dashboard, "=cmd()")
    page = await dashboard.get(f"{KEYS}?format=csv")
    assert page.response.headers["Content-Disposition"] == 'attachment; filename="api-keys.csv"'
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert len(rows) == 31
    assert {"'=cmd()", 'Key "7", ünï'} <= {row["name"] for row in rows}


async def test_the_export_keeps_filters(dashboard: Dashboard) -> None:
    for name in ("One", "Two"):
        await make(dashboard, name)
    data = json.loads((await dashboard.get(f"{KEYS}?format=json&search=two")).text)["data"]
    assert [key["name"] for key in data] == ["Two"]


async def test_shares_are_written_without_idle_zeros(dashboard: Dashboard) -> None:
    one, two = await make(dashboard, "one"), await make(dashboard, "two")
    for key_id, requests in ((one, 1), (two, 2)):
        await dashboard.store.db.execute(
            "UPDATE key_stats SET requests = $2 WHERE key_id = $1", key_id, requests
        )
    await make(dashboard, "unused")
    shares = re.findall(r'data-label="Usage" class="number">([^<]*)<', (await dashboard.get(KEYS)).text)
    assert shares == ["0%", "66.67%", "33.33%"]
