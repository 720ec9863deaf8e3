"""What holds for each page, those that come later included: accessible, no wider than its window, no text that acts."""

from collections.abc import Sequence

import pytest
from aiohttp import web
from playwright.async_api import Page

from tests.support.browser import Visit, list_violations
from tests.support.dashboard import Dashboard, make_application
from tests.support.furnish import furnish, furnish_with_hostile_texts

pytestmark = pytest.mark.asyncio(loop_scope="session")
KEYS = "/dashboard/configuration/api-keys"
# Patterns; streams, which never end; what only an OpenID provider leads to.
_NO_PAGE = ("{", "/stream", "/live", "/follow", "/oidc")
MCP_SERVER = "/dashboard/configuration/mcp-servers/github"
DIALOGS = ("", "/edit", "/ephemeral", "/explain", "/rotate", "/revoke", "/delete")


def list_pages(site: Dashboard) -> Sequence[str]:
    """The addresses of all pages that need nothing more than an address."""
    paths = {
        resource.canonical
        for subapp in make_application(site)._subapps
        for resource in subapp.router.resources()
        if any(route.method == "GET" for route in resource)
    }
    plain = sorted(path for path in paths if not any(part in path for part in _NO_PAGE))
    assert KEYS in plain
    return plain


async def open_page(page: Page, path: str) -> None:
    answer = await page.goto(path)
    assert answer is not None
    assert answer.status < 400, f"{path}: {answer.status}"


async def find_overflows(page: Page, widths: Sequence[int]) -> dict[int, int]:
    """Width of the window → by how many pixels the page is wider, where it is."""
    found = {}
    for width in widths:
        await page.set_viewport_size({"width": width, "height": 900})
        found[width] = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
    return {width: pixels for width, pixels in found.items() if pixels > 0}


async def list_faults(page: Page) -> list[str]:
    """Violations in light; in dark only colours can differ."""
    await page.emulate_media(color_scheme="light")
    found = await list_violations(page)
    await page.emulate_media(color_scheme="dark")
    return [*found, *(f"dark: {text}" for text in await list_violations(page, "color-contrast"))]


async def test_every_page_is_accessible(visit: Visit, site: Dashboard) -> None:
    ids = await furnish(site)
    paths = [
        *list_pages(site),
        MCP_SERVER,
        f"{KEYS}/{ids[0]}",
        f"{KEYS}/{ids[0]}/delete",
        "/dashboard/nothing-here",
    ]
    found = []
    async with visit(site) as page:
        for path in paths:
            await page.goto(path)
            found += [f"{path}: {text}" for text in await list_faults(page)]
    assert not found, "\n".join(found)


async def test_the_keys_are_accessible_on_a_small_screen(visit: Visit, site: Dashboard) -> None:
    ids = await furnish(site)
    found = []
    async with visit(site, width=360) as page:
        for path in (KEYS, f"{KEYS}/{ids[0]}", f"{KEYS}/new"):
            await page.goto(path)
            found += [f"{path}: {text}" for text in await list_faults(page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", ["new?for=user", "{id}/edit"])
async def test_every_tab_of_the_form_is_accessible(visit: Visit, site: Dashboard, path: str) -> None:
    ids = await furnish(site)
    found = []
    async with visit(site) as page:
        await page.goto(f"{KEYS}/{path.format(id=ids[0])}")
        for tab in ("Basic", "Advanced", "MCP"):
            await page.get_by_role("radio", name=tab).check(force=True)
            found += [f"{tab}: {text}" for text in await list_faults(page)]
    assert not found, "\n".join(found)


async def test_mistakes_and_secrets_are_accessible(visit: Visit, site: Dashboard) -> None:
    async with visit(site) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_role("button", name="Create Key").click()
        await page.get_by_text("Must not be empty.").wait_for()
        found = await list_faults(page)
        await page.get_by_label("Key Name").fill("x")
        await page.get_by_role("button", name="Create Key").click()
        await page.get_by_text("API Key created!").wait_for()
        found += await list_faults(page)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
async def test_what_is_stored_is_text_everywhere(visit: Visit, site: Dashboard, script: bool) -> None:
    key_id = await furnish_with_hostile_texts(site)
    paths = [
        *list_pages(site),
        MCP_SERVER,
        *(f"{KEYS}/{key_id}{dialog}" for dialog in DIALOGS),
        f"{KEYS}?search=%3Cscript%3E",
    ]
    async with visit(site, script=script) as page:
        for path in paths:
            await open_page(page, path)
            assert "49&amp;amp" not in await page.content()
            if script:
                assert await page.evaluate("window.hacked") is None, path
                assert await page.evaluate("document.querySelectorAll('script:not([src])').length") == 0, path
                assert not (wide := await find_overflows(page, (1440, 360))), f"{path}: {wide}"


async def test_no_page_is_wider_than_its_window(visit: Visit, site: Dashboard) -> None:
    ids = await furnish(site)
    found = []
    async with visit(site) as page:
        for path in [*list_pages(site), MCP_SERVER, *(f"{KEYS}/{ids[0]}{dialog}" for dialog in DIALOGS)]:
            await open_page(page, path)
            if wide := await find_overflows(page, (360, 768, 1024, 1440)):
                found.append(f"{path}: {wide}")
    assert not found, "\n".join(found)


async def test_the_application_is_the_one_that_is_served(site: Dashboard) -> None:
    assert isinstance(make_application(site), web.Application)
    assert len(list_pages(site)) >= 4
