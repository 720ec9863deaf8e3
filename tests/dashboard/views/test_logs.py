import asyncio
import csv
import io
import json
import re

import pytest

from dashboard import lists
from dashboard.views import logs
from gateway_proxy.admin.actor import Role
from gateway_proxy.core.ledger import BodyRow
from tests.support.dashboard import Dashboard, acting_as
from tests.support.traffic import add_request


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    await add_request(dashboard.store, "req_good", ago_seconds=7200)
    await add_request(
        dashboard.store,
        "req_bad",
        status=502,
        error_code="upstream_broken",
        outcome="upstream_failed",
        model="<i>m</i>",
    )
    await add_request(dashboard.store, "req_denied", status=429, error_code="insufficient_quota", admitted=False, attempts=0,
                      owner="eve@example.com", key_id="key_eve", provider="", first_byte_ms=None)  # fmt: skip
    return dashboard


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"req_good", "req_bad", "req_denied"}),
        ("?status=errors", {"req_bad", "req_denied"}),
        ("?status=429", {"req_denied"}),
        ("?error=upstream_broken", {"req_bad"}),
        ("?model=gpt-4o", {"req_good", "req_denied"}),
        ("?key=key_eve", {"req_denied"}),
        ("?owner=ada@example.com", {"req_good", "req_bad"}),
        ("?provider=openai&range=1h", {"req_bad"}),
        ("?range=custom&from=2020-01-01T00:00&to=2020-01-02T00:00", set()),
    ],
)
async def test_every_filter_stands_in_the_address(site: Dashboard, query: str, shown: set[str]) -> None:
    page = await site.get(f"/logs{query}")
    assert page.status == 200
    assert {name for name in ("req_good", "req_bad", "req_denied") if f"/logs/{name}" in page.text} == shown
    assert "<i>m" not in page.text


async def test_pages_go_on_with_the_filters_kept(site: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE_ROWS", 1)
    page = await site.get("/logs?status=errors")
    assert "status=errors&amp;cursor=" in page.text
    cursor = page.text.split("cursor=")[1].split('"')[0]
    second = await site.get(f"/logs?status=errors&cursor={cursor}")
    assert ("/logs/req_bad" in page.text) != ("/logs/req_bad" in second.text)


@pytest.mark.parametrize(
    ("query", "field"),
    [("?status=abc", "status"), ("?key=nobody", "key"), ("?cursor=x", ""), ("?status=²²²", "status")],
)
async def test_a_filter_that_cannot_be_followed_is_told_at_its_field(
    site: Dashboard, query: str, field: str
) -> None:
    page = await site.get(f"/logs{query}")
    assert page.status == 422
    assert (f'id="{field}-error"' if field else 'role="alert"') in page.text
    if field:  # a file has no pages
        assert (await site.get(f"/logs{query}&format=csv")).status == 422


async def test_the_log_comes_as_a_file_page_by_page(site: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "FILE_ROWS", 1)
    page = await site.get("/logs?format=csv")
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert [row["request_id"] for row in rows][-1] == "req_good"
    assert len(rows) == 3
    assert rows[-1]["metadata"] == '{"team": "backend"}'


async def test_members_see_their_own_requests(site: Dashboard) -> None:
    site.actor = acting_as(Role.MEMBER, "eve@example.com")
    page = await site.get("/logs")
    assert "req_denied" in page.text and "req_good" not in page.text
    assert (await site.get("/logs/req_good")).status == 404
    assert (await site.get("/logs/req_denied")).status == 200
    site.actor = acting_as(Role.OWNER, organization="acme")
    assert (await site.get("/logs/req_good")).status == 404


async def test_a_request_tells_what_happened_and_what_each_attempt_cost(site: Dashboard) -> None:
    page = await site.get("/logs/req_good")
    for told in (
        "$1.00",
        "10 input",
        "2 cached input",
        "34 output",
        "the provider",
        "gpt-4o-2024-08-06",
        "backend",
        "300 ms until",
    ):
        assert told in page.text
    [attempt] = json.loads((await site.get("/logs/req_good?table=attempts&format=json")).text)["data"]
    assert (attempt["charged_usd"], attempt["usage"]["output"]) == ("1.00", 34)
    page = await site.get("/logs/req_denied")
    assert "did not fit into what is left of the budget" in page.text
    assert "the request was refused before" in page.text


async def test_bodies_are_shown_as_text_to_those_who_may_read_them(site: Dashboard) -> None:
    assert "Request body" not in (await site.get("/logs/req_good")).text
    await site.store.bodies.add([BodyRow("req_good", 1, '{"a":"<script>x</script>","n":1.0}', None)])
    page = await site.get("/logs/req_good")
    assert "<script>x" not in page.text
    assert "{\n  &#34;a&#34;: &#34;&lt;script&gt;x&lt;/script&gt;&#34;,\n  &#34;n&#34;: 1.0\n}" in page.text
    assert "the client got none" in page.text and 'data-copy="request-body"' in page.text
    site.actor = acting_as(Role.VIEWER)
    page = await site.get("/logs/req_good")
    assert "&lt;script&gt;x" not in page.text and "the owner of the key may read it" in page.text


async def test_the_live_view_gives_rows_as_they_arrive(
    site: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_FOLLOW_SECONDS", 0.01)
    async with site.client.get("/dashboard/logs/follow?status=errors") as stream:
        assert stream.content_type == "text/event-stream"
        assert stream.headers["X-Content-Type-Options"] == "nosniff"
        first = await stream.content.readuntil(b"\n\n")
        assert b"event: rows" in first
        await add_request(site.store, "req_fine")
        await add_request(site.store, "req_new", status=503, error_code="upstream_unavailable")
        event = (await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 5)).decode()
    assert "/dashboard/logs/req_new" in event
    assert "req_fine" not in event and "req_bad" not in event
    last = event.split("id: ")[1].split("\n")[0]
    await add_request(site.store, "req_later", status=500)
    async with site.client.get("/dashboard/logs/follow", headers={"Last-Event-ID": last}) as stream:
        assert b"req_later" in await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 5)


async def test_the_live_view_refuses_a_cursor_that_is_not_its_own(site: Dashboard) -> None:
    page = await site.get("/logs/follow", headers={"Last-Event-ID": "x'; --"})
    assert page.status == 422


async def test_without_a_script_the_live_page_loads_itself_anew(site: Dashboard) -> None:
    page = await site.get("/logs?live=1")
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.text
    assert "http-equiv" not in (await site.get("/logs")).text


async def test_what_was_refused_in_the_shadow_is_told(site: Dashboard) -> None:
    await add_request(site.store, "req_shadowed", would_deny="ip_not_allowed")
    page = await site.get("/logs?would_deny=any")
    assert "/logs/req_shadowed" in page.text and "/logs/req_good" not in page.text
    assert "would deny: <code>ip_not_allowed</code>" in page.text
    detail = (await site.get("/logs/req_shadowed")).text
    assert "Would deny: <code>ip_not_allowed</code>" in detail


async def test_what_each_rule_said(site: Dashboard) -> None:
    text = (await site.get("/logs/req_denied")).text.partition("<h2>Rules</h2>")[2]
    rows = re.findall(r'<th scope="row">(\w+)</th>.*?<span class="badge[^"]*">([^<]+)<', text, re.DOTALL)[:9]
    assert rows[0] == ("Status", "Allows") and rows[-1] == ("Budget", "Denies") and len(rows) == 9
    passed = (await site.get("/logs/req_good")).text
    assert passed.count(">Allows<") == 9 and ">Denies<" not in passed
