"""Search, filter, order, pages and the back button, in a real browser."""

import pytest
from playwright.async_api import Page, expect

from gateway_proxy.admin.keys import KeyQuery
from tests.support.browser import Visit
from tests.support.dashboard import OWNER, Dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
KEYS = "/dashboard/configuration/api-keys"
EITHER_WAY = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])


async def fill(site: Dashboard, *names: str) -> None:
    for name in names:
        await site.admin.keys.create(OWNER, {"name": name})


async def expect_names(page: Page, *names: str) -> None:
    await expect(page.locator(".key-name")).to_have_text(list(names))


async def test_search_while_typing(visit: Visit, site: Dashboard) -> None:
    await fill(site, "alpha", "beta", "alphabet")
    async with visit(site) as page:
        await page.goto(f"{KEYS}?sort=name")
        await page.get_by_label("Search by name or preview").press_sequentially("alph")
        await expect_names(page, "alpha", "alphabet")
        await page.wait_for_url(lambda url: "search=alph" in url and "sort=name" in url)
        assert await page.get_by_label("Search by name or preview").input_value() == "alph"
        await page.get_by_label("Search by name or preview").fill("zzz")
        await expect(page.get_by_text("No key matches")).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("No key matches")).to_be_visible()
        await page.get_by_role("link", name="Show all keys").click()
        await expect(page.locator(".key-name")).to_have_count(3)
        assert await page.get_by_label("Search by name or preview").input_value() == ""


async def test_search_without_a_script(visit: Visit, site: Dashboard) -> None:
    await fill(site, "alpha", "beta")
    async with visit(site, script=False) as page:
        await page.goto(KEYS)
        await page.get_by_label("Search by name or preview").fill("bet")
        await page.get_by_role("button", name="Search").click()
        await expect_names(page, "beta")


@EITHER_WAY
async def test_status(visit: Visit, site: Dashboard, script: bool) -> None:
    await fill(site, "paused", "running")
    keys = (await site.admin.keys.search(OWNER, KeyQuery(search="paused"))).keys
    await site.admin.keys.deactivate(OWNER, keys[0]["id"])
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await page.get_by_label("Status").select_option("inactive")
        if not script:
            await page.get_by_role("button", name="Search").click()
        await expect_names(page, "paused")
        await page.wait_for_url(lambda url: "status=inactive" in url)


@EITHER_WAY
async def test_order_and_the_back_button(visit: Visit, site: Dashboard, script: bool) -> None:
    await fill(site, "b", "a", "c")
    async with visit(site, script=script, width=360) as page:  # cards: the head is a line of links
        await page.goto(KEYS)
        await expect_names(page, "c", "a", "b")
        await page.get_by_role("link", name="Name").click()
        await expect_names(page, "a", "b", "c")
        await page.get_by_role("link", name="Name").click()
        await expect_names(page, "c", "b", "a")
        await expect(page.locator("th[aria-sort=descending]")).to_contain_text("Name")
        await page.get_by_role("link", name="b", exact=True).click()
        await expect(page.get_by_role("heading", name="b", level=1)).to_be_visible()
        await page.go_back()
        await expect(page.locator("dialog")).to_have_count(0)
        await expect_names(page, "c", "b", "a")
        await page.go_back()
        await expect_names(page, "a", "b", "c")
        await page.go_back()
        await expect_names(page, "c", "a", "b")
        await page.go_forward()
        await expect_names(page, "a", "b", "c")


@EITHER_WAY
async def test_pages(visit: Visit, site: Dashboard, script: bool) -> None:
    await fill(site, *(f"key {number:02}" for number in range(27)))
    async with visit(site, script=script) as page:
        await page.goto(f"{KEYS}?sort=name")
        await page.get_by_role("link", name="Next").click()
        await expect_names(page, "key 25", "key 26")
        await expect(page.get_by_text("26–27 of 27 keys")).to_be_visible()
        await page.get_by_role("link", name="Previous").click()
        await expect(page.get_by_text("1–25 of 27 keys")).to_be_visible()


async def test_a_click_anywhere_in_a_row_opens_it(visit: Visit, site: Dashboard) -> None:
    await fill(site, "mine")
    async with visit(site) as page:
        await page.goto(KEYS)
        await page.locator("td[data-label=Created]").click()
        await expect(page.get_by_role("heading", name="mine", level=1)).to_be_visible()


async def test_the_preview_is_copied(visit: Visit, site: Dashboard) -> None:
    await fill(site, "mine")
    async with visit(site) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(KEYS)
        shown = await page.locator("td code").inner_text()
        await page.get_by_role("button", name="Copy the preview of mine").click()
        await expect(page.get_by_role("button", name="Copied!")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == shown
        await expect(page.get_by_role("button", name="Copy the preview of mine")).to_be_visible()


@EITHER_WAY
async def test_the_list_is_exported(visit: Visit, site: Dashboard, script: bool) -> None:
    await fill(site, "mine")
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await page.locator("summary", has_text="Export").click()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="CSV").click()
        file = await (await download.value).path()
        assert "mine" in file.read_text()
