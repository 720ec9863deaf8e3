"""A real Chromium for tests, and visitors who notice what no test asks for.

    async def test_it(visit, site):
        async with visit(site, script=False, scheme="dark") as page:
            await page.goto("/dashboard/configuration/api-keys")

Leaving a visit fails the test if the page wrote an error to the console, threw, or asked another host for anything.
One browser serves the whole session, so these tests run in the session's event loop (`loop_scope="session"`).
"""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.support.dashboard import Dashboard, open_dashboard

__all__ = ["browser", "find_chromium", "find_faults", "list_violations", "site", "visit"]

Visit = Callable[..., AbstractAsyncContextManager[Page]]
_VARIABLE = "PLAYWRIGHT_CHROMIUM_EXECUTABLE_PATH"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = ("Google Chrome", "Chromium")
_WAIT_MS = 10_000
# Not all machines that run tests have a sandbox to offer or much shared memory.
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
# A refused form is an answer, which Chromium writes to the console all the same.
_EXPECTED = ("the server responded with a status of 4", "net::ERR_CONNECTION_RESET")


def find_chromium() -> str:
    """The browser's path. Raises RuntimeError where there is none: these tests are never skipped."""
    on_macos = (Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in _ON_MACOS)
    found = (
        os.environ.get(_VARIABLE)
        or next((path for name in _NAMES if (path := shutil.which(name))), None)
        or next((str(path) for path in on_macos if path.exists()), None)
    )
    if not found:
        raise RuntimeError(f"no Chromium found: install it (`./run test` does), or name it in {_VARIABLE}")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=find_chromium(), args=list(_FLAGS))
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Dashboard]:
    """The dashboard over a fresh store, as the fixture `dashboard` but in the session's loop."""
    async with open_dashboard(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> Visit:
    """Opens pages of an origin, or of a `Dashboard`, in a context of their own."""

    @asynccontextmanager
    async def open_page(
        where: Dashboard | str,
        *,
        script: bool = True,
        scheme: str = "light",
        width: int = 1440,
        cookies: dict[str, str] | None = None,
    ) -> AsyncIterator[Page]:
        origin = where if isinstance(where, str) else str(where.client.make_url("")).rstrip("/")
        context = await browser.new_context(
            base_url=origin,
            java_script_enabled=script,
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            viewport={"width": width, "height": 900},
        )
        context.set_default_timeout(_WAIT_MS)
        await context.add_cookies(
            [{"name": name, "value": value, "url": origin} for name, value in (cookies or {}).items()]
        )
        page = await context.new_page()
        faults = find_faults(context, page, origin)
        yield page
        await context.close()
        assert not faults, "\n".join(faults)

    return open_page


def find_faults(context: BrowserContext, page: Page, origin: str) -> list[str]:
    """A list that fills with what goes wrong on the page from now on."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"threw {error}"))
    page.on(
        "console",
        lambda message: (
            faults.append(f"console: {message.text}")
            if message.type in ("error", "warning") and not any(text in message.text for text in _EXPECTED)
            else None
        ),
    )
    page.on("dialog", lambda dialog: faults.append(f"a dialog opened: {dialog.message}"))
    home = urlsplit(origin).netloc
    context.on(
        "request",
        lambda request: (
            faults.append(f"asked {request.url}") if urlsplit(request.url).netloc not in (home, "") else None
        ),
    )
    return faults


async def list_violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds on the page: rule, and the elements; by these rules alone if any are named."""
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    # What passed is as much again as the page: it stays there.
    violations = await page.evaluate("options => axe.run(options).then(found => found.violations)", options)
    return [
        f"{violation['id']}: {[node['html'][:160] for node in violation['nodes']][:3]}"
        for violation in violations
    ]
