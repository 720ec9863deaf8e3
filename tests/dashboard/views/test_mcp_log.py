import csv
import io
import json

import pytest

from dashboard import lists
from gateway_proxy.admin.actor import Role
from tests.support.dashboard import Dashboard, acting_as
from tests.support.mcp_rows import make_row


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    rows = [
        make_row("req_good", 1_000),
        make_row("req_denied", 2_000, status="denied", rule="tools", tool="<i>x</i>", error_code="mcp_denied"),
        make_row("req_eve", 3_000, owner="eve@example.com", key_id="key_eve", server="jira", status="error", arguments='{"q":"<b>"}'),
    ]  # fmt: skip
    organization = dashboard.actor.organization or "default"
    await dashboard.store.mcp_log.add([row._replace(organization=organization) for row in rows])
    return dashboard


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"req_good", "req_denied", "req_eve"}),
        ("?status=failures", {"req_denied", "req_eve"}),
        ("?status=denied", {"req_denied"}),
        ("?server=jira", {"req_eve"}),
        ("?tool=search&owner=ada@example.com", {"req_good"}),
        ("?key=key_eve", {"req_eve"}),
        ("?range=1h", set()),
    ],
)
async def test_every_filter_stands_in_the_address(site: Dashboard, query: str, shown: set[str]) -> None:
    page = await site.get(f"/logs/mcp{query}")
    assert page.status == 200
    assert {name for name in ("req_good", "req_denied", "req_eve") if f"/logs/{name}" in page.text} == shown
    assert "<i>x" not in page.text and "<b>" not in page.text


async def test_it_comes_as_files_and_in_pages(site: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = json.loads((await site.get("/logs/mcp?format=json&status=failures")).text)["data"]
    assert [row["request_id"] for row in rows] == ["req_eve", "req_denied"] and rows[1]["rule"] == "tools"
    table = list(csv.DictReader(io.StringIO((await site.get("/logs/mcp?format=csv")).text)))
    assert len(table) == 3 and table[0]["server"] == "jira"
    monkeypatch.setattr(lists, "PAGE_ROWS", 2)
    first = await site.get("/logs/mcp")
    cursor = first.text.split("cursor=")[1].split('"')[0]
    second = await site.get(f"/logs/mcp?cursor={cursor}")
    assert "/logs/req_good" in second.text and "/logs/req_eve" not in second.text


async def test_members_see_their_own(site: Dashboard) -> None:
    site.actor = acting_as(Role.MEMBER)
    page = await site.get("/logs/mcp")
    own = "req_eve" if site.actor.email == "eve@example.com" else "req_good"
    assert {f"/logs/{name}" in page.text for name in ("req_good", "req_eve") if name != own} == {False}
    assert f"/logs/{own}" in page.text


async def test_a_wrong_filter_is_told_at_its_field(site: Dashboard) -> None:
    page = await site.get("/logs/mcp?status=maybe")
    assert page.status == 422 and "one of ok, error, denied" in page.text


async def test_without_calls_the_page_says_what_will_stand_here(dashboard: Dashboard) -> None:
    assert "No MCP calls yet" in (await dashboard.get("/logs/mcp")).text
