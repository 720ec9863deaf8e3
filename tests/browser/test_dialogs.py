"""Dialogs under a keyboard, and what the script adds to them."""

import pytest
from playwright.async_api import expect

from tests.support.browser import Visit
from tests.support.dashboard import OWNER, Dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
KEYS = "/dashboard/configuration/api-keys"


async def test_focus_goes_in_and_escape_leads_out(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(KEYS)
        await page.get_by_role("link", name="Create Key", exact=True).first.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Key Name")).to_be_focused()
        for _ in range(60):
            await page.keyboard.press("Tab")
            assert await page.evaluate(
                "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
            )
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)
        await page.wait_for_url(lambda url: url.endswith(KEYS))
        assert await page.evaluate("!document.querySelector('[inert]')")


async def test_tabs_follow_the_arrow_keys(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_role("radio", name="Basic").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_label("Allowed Models")).to_be_visible()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_label("MCP Access Mode")).to_be_visible()


async def test_a_dialog_that_is_loaded_is_modal(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(f"{KEYS}/new?status=active")
        await expect(page.locator("dialog:modal")).to_have_count(1)
        await page.get_by_role("link", name="Cancel").click()
        await expect(page.locator("dialog")).to_have_count(0)
        await page.wait_for_url(lambda url: url.endswith(f"{KEYS}?status=active"))


async def test_without_a_script_the_page_behind_is_inert(visit: Visit, site: Dashboard) -> None:
    async with visit(site, script=False) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").focus()
        for _ in range(40):
            await page.keyboard.press("Shift+Tab")
        await page.get_by_role("link", name="Cancel").click()
        await expect(page.locator("dialog")).to_have_count(0)
        await expect(page.get_by_role("heading", name="API keys")).to_be_visible()


async def test_the_secret_is_copied_and_says_so_for_two_seconds(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").fill("x")
        await page.get_by_role("button", name="Create Key").click()
        await page.get_by_role("button", name="Copy").click()
        await expect(page.get_by_role("button", name="Copied!")).to_be_visible()
        assert (
            await page.evaluate("navigator.clipboard.readText()")
            == await page.locator("#revealed").inner_text()
        )
        await expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()


async def test_the_secret_is_selected_as_a_whole(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").fill("x")
        await page.get_by_role("button", name="Create Key").click()
        secret = page.locator("#revealed")
        await secret.click()
        assert (await page.evaluate("String(getSelection())")).strip() == await secret.inner_text()
        assert "mono" in (await secret.evaluate("e => getComputedStyle(e).fontFamily")).lower()


async def test_tools_are_searched(visit: Visit, site: Dashboard) -> None:
    tools = {"github": ["search_issues", "create_issue"], "linear": ["list_teams"]}
    made = await site.admin.keys.create(OWNER, {"name": "x", "mcp": {"tools": tools}})
    async with visit(site) as page:
        await page.goto(f"{KEYS}/{made.key['id']}/edit")
        await page.get_by_role("radio", name="MCP").check(force=True)
        await page.get_by_label("Search tools").fill("issue")
        await expect(page.get_by_role("checkbox", name="search_issues")).to_be_visible()
        await expect(page.get_by_role("checkbox", name="list_teams")).to_be_hidden()
        await page.get_by_role("checkbox", name="create_issue").uncheck()
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Your changes are saved.")).to_be_visible()
    key = await site.admin.keys.find(OWNER, made.key["id"])
    assert key["mcp"]["tools"] == {"github": ["search_issues"], "linear": ["list_teams"]}


async def test_a_lost_connection_loses_nothing_typed(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").fill("typed")
        await page.route("**/*", lambda route: route.abort("connectionreset"))
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("The gateway could not be reached.")).to_be_visible()
        assert await page.get_by_label("Key Name").input_value() == "typed"
        await page.unroute("**/*")
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()


async def test_going_back_opens_no_dialog_that_is_done_with(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(f"{KEYS}?sort=name")
        await page.get_by_role("link", name="Create Key", exact=True).first.click()
        await page.get_by_label("Key Name").fill("once")
        await page.get_by_role("button", name="Create Key").click()
        await page.get_by_role("link", name="Done").click()
        await expect(page.locator("dialog")).to_have_count(0)
        await page.get_by_role("link", name="once", exact=True).click()
        await page.get_by_role("link", name="Edit").click()
        await page.get_by_label("Key Name").fill("twice")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="twice", level=1)).to_be_visible()
        await page.go_back()
        await expect(page.get_by_role("heading", name="Edit Key")).to_have_count(0)
        await page.go_back()
        await expect(page.locator("dialog")).to_have_count(0)
        assert "sort=name" in page.url and "/api-keys?" in page.url
