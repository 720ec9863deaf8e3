import csv
import io
import json

import pytest

from dashboard.plain_form import PlainForm
from dashboard.views.usage import read_groups
from gateway_proxy.admin.actor import Role
from tests.support.dashboard import Dashboard, acting_as
from tests.support.traffic import add_request


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    created = await dashboard.admin.keys.create(
        dashboard.actor, {"name": "Search <b>", "metadata": {"team": "search"}}
    )
    await add_request(dashboard.store, "req_1", key_id=created.key["id"])
    await add_request(
        dashboard.store,
        "req_2",
        model="claude",
        provider="anthropic",
        owner="eve@example.com",
        key_id="key_eve",
    )
    return dashboard


async def read(site: Dashboard, query: str) -> list[dict[str, str]]:
    page = await site.get(f"/usage?range=1h&format=csv&{query}")
    assert page.status == 200
    return list(csv.DictReader(io.StringIO(page.text)))


async def test_usage_is_grouped_as_the_address_says(site: Dashboard) -> None:
    assert {row["key_name"] for row in await read(site, "")} == {"Search <b>", ""}
    assert {row["model"]: row["cost_usd"] for row in await read(site, "by=model")} == {
        "gpt-4o": "1.00",
        "claude": "1.00",
    }
    rows = await read(site, "by=metadata&field=team&then=provider")
    assert {(row["metadata.team"], row["provider"]) for row in rows} == {
        ("search", "openai"),
        ("", "anthropic"),
    }
    assert [row["requests"] for row in await read(site, "by=day")] == ["2"]


async def test_usage_is_filtered_and_summed(site: Dashboard) -> None:
    assert len(await read(site, "by=model&provider=anthropic")) == 1
    assert len(await read(site, "by=model&key=search%20<b>")) == 1
    assert len(await read(site, "by=model&owner=nobody@example.com")) == 0
    page = await site.get("/usage?range=1h")
    assert "$2.00" in page.text
    assert "Search &lt;b&gt;" in page.text and "<b>" not in page.text
    assert "Spend by hour" in page.text
    assert "Nothing used" in (await site.get("/usage?model=none")).text


async def test_members_see_their_own_usage(site: Dashboard) -> None:
    site.actor = acting_as(Role.MEMBER, "eve@example.com")
    assert [row["model"] for row in await read(site, "by=model&owner=ada@example.com")] == ["claude"]
    assert 'name="owner"' not in (await site.get("/usage")).text


async def test_json_has_the_same_rows(site: Dashboard) -> None:
    page = await site.get("/usage?by=model&range=1h&format=json")
    assert {row["model"] for row in json.loads(page.text)["data"]} == {"gpt-4o", "claude"}


@pytest.mark.parametrize("query", ["by=colour", "key=nobody", "cursor=x", "by=model&then=nothing"])
async def test_what_cannot_be_followed_is_told(site: Dashboard, query: str) -> None:
    page = await site.get(f"/usage?{query}")
    assert page.status == 422
    assert "error" in page.text or 'role="alert"' in page.text
    if "cursor" not in query:  # a file has no pages
        assert (await site.get(f"/usage?{query}&format=csv")).status == 422


@pytest.mark.parametrize(
    ("texts", "groups"),
    [
        ({}, ["key"]),
        ({"by": "metadata"}, ["metadata.team"]),
        ({"by": "metadata", "field": "env", "then": "day"}, ["metadata.env", "day"]),
        ({"by": "model", "then": "model"}, ["model"]),
    ],
)
def test_groups_are_read_from_the_form(texts: dict[str, str], groups: list[str]) -> None:
    assert read_groups(PlainForm(texts)) == groups
