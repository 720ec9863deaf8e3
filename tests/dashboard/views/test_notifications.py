import asyncio
import json

import pytest

from dashboard.views.notifications import describe_delivery
from gateway_proxy.admin.actor import Role
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import EventRow
from tests.support.dashboard import Dashboard, acting_as


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    """One endpoint, and one delivery to it that failed."""
    deliveries, now = dashboard.store.deliveries, Clock().now_ms()
    await deliveries.publish("default", [("hook-1", "webhook", "https://one/<b>", ("key.*",))])
    event = EventRow(
        id="evt_1", type="key.created", at=now, organization="default", key_id="", dedupe="1", data={}
    )
    await dashboard.store.outbox.add([event])
    await deliveries.spread([event], lambda _: [("hook-1", "https://one/<b>")], now)
    await deliveries.claim("hook-1", "gtw_1", now, 1000, 9)
    await deliveries.fail("evt_1", "hook-1", 500, "answered 500")
    return dashboard


async def test_endpoints_and_deliveries_are_shown_and_come_as_files(site: Dashboard) -> None:
    page = await site.get("/settings/notifications")
    for told in (
        "https://one/&lt;b&gt;",
        "key.created",
        "Failed",
        "answered 500",
        "Send a test",
        "Send again",
    ):
        assert told in page.text
    rows = json.loads((await site.get("/settings/notifications?format=json")).text)["data"]
    assert [row["state"] for row in rows] == ["failed"]
    rows = json.loads((await site.get("/settings/notifications?format=json&table=endpoints")).text)["data"]
    assert [row["id"] for row in rows] == ["hook-1"]
    assert "No deliveries fit" in (await site.get("/settings/notifications?state=pending")).text
    assert (await site.get("/settings/notifications?state=lost")).status == 400


async def test_a_test_is_sent_and_told(site: Dashboard) -> None:
    async def gateway() -> None:
        while not (due := await site.store.deliveries.claim("hook-1", "gtw_1", Clock().now_ms(), 1000, 9)):
            await asyncio.sleep(0.005)
        await site.store.deliveries.succeed(due[0].event.id, "hook-1", 204)

    page, _ = await asyncio.gather(site.post("/settings/notifications/endpoints/hook-1/test"), gateway())
    assert page.location == "/dashboard/settings/notifications"
    shown = await site.get("/settings/notifications")
    assert "The test event reached" in shown.text


async def test_an_event_is_sent_again(site: Dashboard) -> None:
    page = await site.post("/settings/notifications/deliveries/evt_1.hook-1/redeliver")
    assert page.status == 303
    assert (await site.admin.notifications.deliveries(site.actor)).data[0]["state"] == "pending"


async def test_an_endpoint_that_was_gone_is_enabled(site: Dashboard) -> None:
    await site.store.deliveries.disable("hook-1", "it answered 410", Clock().now_ms())
    assert "it answered 410" in (await site.get("/settings/notifications")).text
    assert (await site.post("/settings/notifications/endpoints/hook-1/enable")).status == 303
    assert "it answered 410" not in (await site.get("/settings/notifications")).text


async def test_viewers_read_and_members_do_not(site: Dashboard) -> None:
    site.actor = acting_as(Role.VIEWER)
    assert "Send a test" not in (await site.get("/settings/notifications")).text
    assert (await site.post("/settings/notifications/endpoints/hook-1/test")).status == 403
    site.actor = acting_as(Role.MEMBER)
    assert (await site.get("/settings/notifications")).status == 403


async def test_without_endpoints_the_page_says_how_to_name_one(dashboard: Dashboard) -> None:
    assert "[[notifications.webhooks]]" in (await dashboard.get("/settings/notifications")).text


@pytest.mark.parametrize(
    ("delivery", "told"),
    [
        ({"state": "delivered", "http_status": 204}, "The test event reached hook. It answered 204."),
        ({"state": "delivered", "http_status": None}, "The test event reached hook."),
        ({"state": "failed", "error": "refused"}, "The test event did not reach hook: refused."),
        ({"state": "pending"}, "The test event for hook is still on its way; see the list of deliveries."),
    ],
)
def test_how_a_test_went_is_a_sentence(delivery: dict[str, object], told: str) -> None:
    assert (
        describe_delivery({"endpoint_name": "hook", "http_status": None, "error": None, **delivery}) == told
    )
