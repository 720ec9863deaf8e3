"""The frame in a real browser: appearance, navigation on small screens, skipping to the content."""

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Visit
from tests.support.dashboard import Dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
KEYS = "/dashboard/configuration/api-keys"
EITHER_WAY = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])


async def ground(page: Page) -> str:
    """The page's background, as a screenshot's corner shows it."""
    image = await page.screenshot(clip={"x": 1430, "y": 890, "width": 2, "height": 2})
    return image.hex()


@EITHER_WAY
async def test_the_system_decides_until_somebody_chooses(visit: Visit, site: Dashboard, script: bool) -> None:
    shots = {}
    for scheme in ("light", "dark"):
        async with visit(site, script=script, scheme=scheme) as page:
            await page.goto(KEYS)
            shots[scheme] = await ground(page)
    assert shots["light"] != shots["dark"]
    async with visit(site, script=script, scheme="light") as page:
        await page.goto(f"{KEYS}?search=x")
        await page.locator(".sidebar details.account summary").click()
        await page.locator(".sidebar").get_by_role("button", name="Dark").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert await ground(page) == shots["dark"]
        assert page.url.endswith("?search=x")
        await page.reload()
        assert await ground(page) == shots["dark"]


@EITHER_WAY
async def test_the_navigation_folds_on_a_small_screen(visit: Visit, site: Dashboard, script: bool) -> None:
    async with visit(site, script=script, width=360) as page:
        await page.goto(KEYS)
        link = page.locator(".topbar").get_by_role("link", name="API keys")
        await expect(link).to_be_hidden()
        await page.locator(".topbar summary").first.click()
        await expect(link).to_be_visible()
        await link.click()
        await expect(page.get_by_role("heading", name="API keys")).to_be_visible()


async def test_escape_closes_a_menu(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(KEYS)
        await page.locator(".sidebar details.account summary").press("Enter")
        sign_out = page.locator(".sidebar").get_by_role("button", name="Sign out")
        await expect(sign_out).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(sign_out).to_be_hidden()


async def test_the_first_tab_skips_to_the_content(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(KEYS)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
