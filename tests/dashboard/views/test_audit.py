"""The audit page: acts with what was before and after, filters in the address, files, and the state of the logs."""

import csv
import io
import json

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.changes import record_change
from gateway_proxy.storage.registry import Gateway
from tests.support.dashboard import OWNER, Dashboard, acting_as


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    """Ada made a key and renamed it; Bob signed in."""
    made = await dashboard.admin.keys.create(OWNER, {"name": "<b>alpha", "owner": "local"})
    await dashboard.admin.keys.update(OWNER, made.key["id"], {"name": "<b>beta"})
    async with dashboard.store.db.transaction() as tx:
        await record_change(
            tx, Clock(), "member.signed_in", organization="default", actor="=bob@example.com", subject="mem_9",
            ip="192.0.2.1", details="{}",
        )  # fmt: skip
    return dashboard


def rows(text: str) -> int:
    return text.count('<time datetime="')


async def test_acts_are_told_with_what_was_before_and_after(site: Dashboard) -> None:
    page = await site.get("/audit")
    assert page.status == 200 and rows(page.text) == 3
    assert "Member signed in" in page.text and "192.0.2.1" in page.text
    assert "&lt;b&gt;alpha" in page.text and "<b>alpha" not in page.text
    assert 'aria-current="page"' in page.text and ">Audit<" in page.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("action=key.*", 2), ("action=key.updated", 1), ("actor=ada@example.com", 2), ("subject=mem_9", 1),
        ("range=24h", 3), ("range=custom&from=2020-01-01T00:00&to=2020-01-02T00:00", 0), ("range=nonsense", 3),
    ],
)  # fmt: skip
async def test_the_address_filters(site: Dashboard, query: str, count: int) -> None:
    page = await site.get(f"/audit?{query}")
    assert page.status == 200 and rows(page.text) == count
    assert ("Nothing fits" in page.text) == (count == 0)


async def test_any_time_is_a_range_also_when_the_form_sends_its_two_times(site: Dashboard) -> None:
    page = await site.get("/audit?range=any&from=2020-01-01T00:00&to=2020-01-02T00:00&action=")
    assert rows(page.text) == 3 and "no such range" not in page.text


async def test_pages_follow_one_another(site: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.views.audit._PAGE", 2)
    page = await site.get("/audit?action=%2A")
    assert rows(page.text) == 2
    address = page.text.partition('">Older')[0].rpartition('href="/dashboard')[2].replace("&amp;", "&")
    page = await site.get(address)
    assert rows(page.text) == 1 and "Older" not in page.text and "Newest" in page.text
    assert (await site.get("/audit?cursor=x")).status == 422


async def test_files_hold_all_that_fits(site: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.lists.FILE_ROWS", 2)
    found = json.loads((await site.get("/audit?format=json")).text)["data"]
    assert [row["action"] for row in found] == ["member.signed_in", "key.updated", "key.created"]
    assert found[1]["details"]["changes"]["name"] == ["<b>alpha", "<b>beta"]
    table = list(csv.DictReader(io.StringIO((await site.get("/audit?format=csv&subject=mem_9")).text)))
    assert len(table) == 1 and table[0]["actor"] == "'=bob@example.com"


async def test_the_state_of_each_gateways_log_is_shown(site: Dashboard) -> None:
    assert "No gateway has reported" in (await site.get("/audit")).text
    gateway = Gateway("gtw_1", "edge", "default", "1", 0, 5, 0, "", "3:" + "a" * 64)
    await site.store.registry.heartbeat(gateway)
    page = await site.get("/audit")
    assert "On another machine" in page.text and "edge" in page.text
    [chain] = json.loads((await site.get("/audit?table=logs&format=json")).text)["data"]
    assert (chain["name"], chain["status"]) == ("edge", "elsewhere")

    async def broken(_: object) -> list[dict]:
        [chain] = await chains(OWNER)
        return [chain | {"status": "broken", "fault": "1.jsonl:2: this line was changed"}]

    chains = site.admin.audit.chains
    site.admin.audit.chains = broken  # type: ignore[method-assign]
    page = await site.get("/audit")
    assert 'role="alert"' in page.text and page.text.count("1.jsonl:2: this line was changed") == 2


async def test_an_empty_log_says_what_will_stand_here(dashboard: Dashboard) -> None:
    assert "Nothing was done yet" in (await dashboard.get("/audit")).text


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 200), (Role.MEMBER, 403)])
async def test_readers_only(site: Dashboard, role: Role, status: int) -> None:
    site.actor = acting_as(role)
    assert (await site.get("/audit")).status == status


async def test_members_tokens_and_gateways_are_called_by_name(site: Dashboard) -> None:
    member = await site.store.registry.add_member("default", "eve@example.com", "Eve", "viewer")
    await site.store.registry.heartbeat(Gateway("gtw_1", "<b>edge", "default", "1", 0, 5, 0, ""))
    async with site.store.db.transaction() as tx:
        for subject in (member.id, "gtw_1"):
            await record_change(
                tx,
                Clock(),
                "member.updated",
                organization="default",
                actor="x",
                subject=subject,
                ip="",
                details="{}",
            )
    shown = json.loads((await site.get("/audit?format=json&action=member.updated")).text)["data"]
    assert [act["subject_name"] for act in shown] == ["<b>edge", "eve@example.com"]
    assert "&lt;b&gt;edge" in (await site.get("/audit")).text
