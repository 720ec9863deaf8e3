"""Explain in a real browser, with a script and without: from the key's dialog to the verdicts and back."""

import pytest
from playwright.async_api import expect

from tests.support.browser import Visit
from tests.support.dashboard import OWNER, Dashboard

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("script", [True, False], ids=["script", "plain"]),
]


async def test_ask_mend_and_go_back(visit: Visit, site: Dashboard, script: bool) -> None:
    key = (await site.admin.keys.create(OWNER, {"name": "Shadowed", "shadow": True})).key
    async with visit(site, script=script) as page:
        await page.goto(f"/dashboard/configuration/api-keys/{key['id']}")
        await page.get_by_role("link", name="Explain").click()
        await page.get_by_label("Model").fill("gpt-4o")
        await page.get_by_label("Client address").fill("nowhere")
        await page.get_by_role("button", name="Explain").click()
        await expect(page.get_by_text("Is no IP address")).to_be_visible()
        await page.get_by_label("Client address").fill("10.0.0.1")
        await page.get_by_role("button", name="Explain").click()
        await expect(page.get_by_text("The request would be refused: model_not_found")).to_be_visible()
        row = page.get_by_role("row", name="Model Denies")
        await expect(row).to_contain_text("Not this model.")
        await page.get_by_role("link", name="Back").click()
        await page.get_by_role("link", name="Edit").click()
        await page.get_by_role("radio", name="Advanced").check(force=True)
        await page.get_by_role("switch", name="Shadow").uncheck()
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Your changes are saved.")).to_be_visible()
    assert (await site.admin.keys.find(OWNER, key["id"]))["shadow"] is False
