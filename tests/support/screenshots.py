"""The pictures of docs/dashboard.md, taken of a furnished store: `./run screenshots`."""

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from tests.support.browser import find_chromium
from tests.support.dashboard import open_dashboard
from tests.support.furnish import furnish

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
KEYS = "/dashboard/configuration/api-keys"
WIDE, NARROW = (1440, 900), (360, 740)


async def take() -> None:
    """One picture after the other, into `docs/images`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_dashboard(Path(folder)) as site, async_playwright() as playwright:
            ids = await furnish(site)
            browser = await playwright.chromium.launch(
                executable_path=find_chromium(),
                args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            )
            pictures = [
                ("keys", KEYS, WIDE, "light"),
                ("keys-dark", KEYS, WIDE, "dark"),
                ("keys-narrow", KEYS, NARROW, "light"),
                ("create-key", f"{KEYS}/new", WIDE, "light"),
                ("key", f"{KEYS}/{ids[0]}", WIDE, "light"),
                ("overview", "/dashboard", WIDE, "light"),
                ("usage", "/dashboard/usage", WIDE, "light"),
                ("logs", "/dashboard/logs", WIDE, "light"),
                ("settings", "/dashboard/settings", WIDE, "light"),
            ]
            for name, path, (width, height), scheme in pictures:
                page = await browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                await page.goto(str(site.client.make_url(path)))
                await page.screenshot(path=FOLDER / f"{name}.png")
                await page.close()
            await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
