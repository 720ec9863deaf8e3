"""The live view of the log, in a real browser."""

import pytest
from playwright.async_api import expect

from dashboard.views import logs
from tests.support.browser import Visit
from tests.support.dashboard import Dashboard
from tests.support.traffic import add_request

pytestmark = pytest.mark.asyncio(loop_scope="session")
LIVE = "/dashboard/logs?live=1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_FOLLOW_SECONDS", 0.05)


async def test_requests_appear_as_they_arrive_and_a_pause_holds_them(visit: Visit, site: Dashboard) -> None:
    await add_request(site.store, "req_old")
    async with visit(site) as page:
        await page.goto(f"{LIVE}&model=gpt-4o")
        rows, state = page.locator("[data-tail-rows] tr"), page.locator("[data-tail-state]")
        await expect(state).to_have_text("Live: new requests appear at the top")
        await add_request(site.store, "req_new", key_name="<b>New</b>")
        await add_request(site.store, "req_other", model="another")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("<b>New</b>")
        await page.get_by_role("button", name="Pause").click()
        await add_request(site.store, "req_held", key_name="Held")
        await expect(state).to_have_text("Paused, with new requests waiting")
        await expect(rows).to_have_count(2)
        await page.get_by_role("button", name="Go on").click()
        await expect(rows.first).to_contain_text("Held")
        await page.get_by_role("link", name="End live view").click()
        await page.wait_for_url(lambda url: "live" not in url and "model=gpt-4o" in url)


async def test_without_a_script_the_requests_are_there_and_what_needs_one_is_not(
    visit: Visit, site: Dashboard
) -> None:
    await add_request(site.store, "req_old")
    async with visit(site, script=False) as page:
        await page.goto(LIVE)
        await expect(page.locator("[data-tail-rows] tr")).to_have_count(1)
        await expect(page.get_by_role("button", name="Pause")).to_be_hidden()
