"""What is done to a key on the page holds at the gateway: real requests before and after, through a running gateway."""

import asyncio
import time
from collections.abc import Callable

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Visit
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

pytestmark = pytest.mark.asyncio(loop_scope="session")
KEYS = "/dashboard/configuration/api-keys"
TABLES = "".join(
    f'[[models]]\nname = "{name}"\ntargets = [{{ provider = "fake", model = "fake-large" }}]\n'
    for name in ("chat", "other")
)


async def expect_answer(
    gateway: RunningGateway, secret: str, status: int, code: str = "", model: str = "chat"
) -> None:
    """This answer; a loaded machine may take longer than the second that the product promises."""
    deadline = time.monotonic() + 5
    while (answer := gateway.ask(secret, model=model)) != (status, code) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert answer == (status, code)


async def create(page: Page, name: str) -> str:
    """A key made on the page; its secret."""
    await page.goto(f"{KEYS}/new")
    await page.get_by_label("Key Name").fill(name)
    await page.get_by_role("button", name="Create Key").click()
    await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()
    secret = await page.locator("#revealed").inner_text()
    await page.get_by_role("link", name="Done").click()
    await page.get_by_role("link", name=name, exact=True).click()
    await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    return secret


async def press(page: Page, button: str, shown: str) -> None:
    await page.get_by_role("button", name=button, exact=True).click()
    await expect(page.get_by_text(shown)).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
async def test_every_act_holds_at_the_gateway(
    visit: Visit, start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider, script: bool
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES)
    async with visit(gateway.origin, script=script, cookies=gateway.sign_in()) as page:
        secret = await create(page, "Production API")
        await expect_answer(gateway, secret, 200)

        await press(page, "Deactivate", "The key is deactivated.")
        await expect_answer(gateway, secret, 401, "key_inactive")
        await press(page, "Activate", "The key is active again.")
        await expect_answer(gateway, secret, 200)

        await page.get_by_role("link", name="Ephemeral Token").click()
        await page.get_by_label("Allowed Models").fill("chat")
        await press(page, "Create Token", "Ephemeral Token created! Copy it now")
        token = await page.locator("#revealed").inner_text()
        await expect_answer(gateway, token, 200)
        await expect_answer(gateway, token, 403, "model_not_found", "other")
        await page.get_by_role("link", name="Done").click()
        await page.get_by_role("link", name="Production API", exact=True).click()

        await page.get_by_role("link", name="Edit", exact=True).click()
        await page.get_by_role("radio", name="Advanced").check(force=True)
        await page.get_by_label("Allowed Models").fill("oth*")
        await press(page, "Save", "Your changes are saved.")
        await expect_answer(gateway, secret, 403, "model_not_found")
        await expect_answer(gateway, secret, 200, "", "other")

        await page.get_by_role("link", name="Rotate Key").click()
        await press(page, "Rotate Key", "API Key rotated! Copy it now")
        rotated = await page.locator("#revealed").inner_text()
        await expect_answer(gateway, secret, 401, "invalid_api_key", "other")
        await expect_answer(gateway, rotated, 200, "", "other")
        await expect_answer(gateway, token, 401, "key_revoked")

        await page.get_by_role("link", name="Done").click()
        await page.get_by_role("link", name="Production API", exact=True).click()
        await page.get_by_role("link", name="Revoke").click()
        await press(page, "Revoke", "The key is revoked")
        await expect_answer(gateway, rotated, 401, "key_revoked", "other")
        await press(page, "Activate", "The key is active again.")
        await expect_answer(gateway, rotated, 200, "", "other")

        await page.get_by_role("link", name="Delete", exact=True).click()
        await press(page, "Delete", "'Production API' was deleted.")
        await expect_answer(gateway, rotated, 401, "invalid_api_key", "other")


async def test_details_tell_what_the_gateway_counts(
    visit: Visit, start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES)
    async with visit(gateway.origin, cookies=gateway.sign_in()) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").fill("counted")
        await page.get_by_label("Requests/min").fill("10")
        await expect(page.get_by_role("switch", name="fake")).to_be_checked()
        await page.get_by_role("button", name="Create Key").click()
        secret = await page.locator("#revealed").inner_text()
        await expect(page.get_by_text("Live on 1 of 1 gateway.")).to_be_visible()
        await expect_answer(gateway, secret, 200)
        assert len(gateway.settled_rows()) == 1
        await page.get_by_role("link", name="Done").click()
        await page.get_by_role("link", name="counted", exact=True).click()
        dialog = page.locator("dialog")
        await expect(dialog.get_by_text("9 of 10 left")).to_be_visible()
        await expect(dialog.get_by_text("Has it")).to_be_visible()
        await expect(dialog.locator("tbody tr")).to_have_count(1)
        await expect(dialog.locator("tbody")).to_contain_text("200")
