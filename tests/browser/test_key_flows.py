"""Every act on keys in a real browser, with a script and without."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from gateway_proxy.admin.keys import KeyQuery
from tests.support.browser import Visit
from tests.support.dashboard import OWNER, Dashboard

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("script", [True, False], ids=["script", "plain"]),
]
KEYS = "/dashboard/configuration/api-keys"
SECRET = re.compile(r"gwk_[0-9A-Za-z]{49}")


async def make(site: Dashboard, name: str, **members: Any) -> dict[str, Any]:
    return (await site.admin.keys.create(OWNER, {"name": name, **members})).key


async def stored(site: Dashboard) -> list[dict[str, Any]]:
    return (await site.admin.keys.search(OWNER, KeyQuery())).keys


async def open_tab(page: Page, name: str) -> None:
    await page.get_by_role("radio", name=name).check(force=True)


async def open_key(page: Page, name: str) -> None:
    await page.get_by_role("link", name=name, exact=True).click()
    await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


async def test_create_and_reveal(visit: Visit, site: Dashboard, script: bool) -> None:
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await page.get_by_role("link", name="Create Key", exact=True).first.click()
        await page.get_by_label("Key Name").fill("Production API")
        await page.get_by_label("Expiration").select_option(label="90 days")
        await page.get_by_label("Requests/min").fill("600")
        await expect(page.get_by_label("Budget Alert Thresholds (%)")).to_be_hidden()
        await page.get_by_label("Budget ($)").fill("25")
        await page.get_by_label("Budget Alert Thresholds (%)").fill("50, 100")
        await page.get_by_role("switch", name="anthropic").uncheck()
        await open_tab(page, "Advanced")
        await page.get_by_label("Allowed Models").fill("gpt-4o\nclaude-3.5-*")
        await page.get_by_label("Metadata (JSON)").fill('{"team": "backend"}')
        await open_tab(page, "MCP")
        await page.get_by_role("switch", name="MCP Enabled").check()
        await expect(page.get_by_text("Allowed MCP Servers")).to_be_hidden()
        await page.get_by_label("MCP Access Mode").select_option(label="Allow List")
        await expect(page.get_by_text("Denied MCP Servers")).to_be_hidden()
        await page.get_by_role("checkbox", name="github", exact=True).check()
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()
        secret = await page.locator("#revealed").inner_text()
        assert SECRET.fullmatch(secret)
        await page.get_by_role("link", name="Done").click()
        await expect(page.get_by_role("link", name="Production API", exact=True)).to_be_visible()
        assert secret not in await page.content()
    (key,) = await stored(site)
    assert (key["requests_per_minute"], key["budget_usd"], key["alert_thresholds"]) == (
        600,
        "25.00",
        [50, 100],
    )
    assert key["allowed_providers"] == ["openai"]
    assert key["allowed_models"] == ["gpt-4o", "claude-3.5-*"]
    assert key["metadata"] == {"team": "backend"}
    assert key["mcp"] == {"enabled": True, "access_mode": "allow_list", "servers": ["github"], "tools": {}}
    assert key["expires_at"] is not None


async def test_a_reload_makes_no_second_key_and_shows_no_secret(
    visit: Visit, site: Dashboard, script: bool
) -> None:
    async with visit(site, script=script) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").fill("once")
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()
        secret = await page.locator("#revealed").inner_text()
        await page.reload()
        assert secret not in await page.content()
        if script:  # without one the browser itself asks before it sends a form again
            await page.goto(KEYS)
            await page.go_back()
            assert secret not in await page.content()
    assert len(await stored(site)) == 1


async def test_mistakes_keep_what_was_typed(visit: Visit, site: Dashboard, script: bool) -> None:
    async with visit(site, script=script) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Requests/min").fill("many")
        await open_tab(page, "Advanced")
        await page.get_by_label("IP Allowlist").fill("10.0.0.1/8")
        await open_tab(page, "Basic")
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("Must be a whole number")).to_be_visible()
        await expect(page.get_by_text("Must not be empty.")).to_be_visible()
        assert await page.get_by_label("Requests/min").input_value() == "many"
        advanced = page.locator("label.tab", has_text="Advanced")
        await expect(advanced).to_contain_text("1 field to correct")
        await open_tab(page, "Advanced")
        await expect(page.get_by_text("write 10.0.0.0/8.")).to_be_visible()
        await page.get_by_label("IP Allowlist").fill("10.0.0.0/8")
        await open_tab(page, "Basic")
        await page.get_by_label("Key Name").fill("now")
        await page.get_by_label("Requests/min").fill("1,000")
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()
    (key,) = await stored(site)
    assert (key["name"], key["requests_per_minute"]) == ("now", 1000)


async def test_create_for_a_user(visit: Visit, site: Dashboard, script: bool) -> None:
    for email in ("ada@example.com", "grace@example.com"):
        await site.store.registry.add_member("default", email)
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await page.get_by_role("link", name="Create Key for User").click()
        await page.get_by_label("Key Name").fill("hers")
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("Choose whose key this is.")).to_be_visible()
        await page.get_by_role("combobox", name="User").select_option("grace@example.com")
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()
    assert [(key["name"], key["owner"]) for key in await stored(site)] == [("hers", "grace@example.com")]


async def test_edit(visit: Visit, site: Dashboard, script: bool) -> None:
    await make(site, "before", requests_per_minute=5)
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await open_key(page, "before")
        await page.get_by_role("link", name="Edit", exact=True).click()
        assert await page.get_by_label("Requests/min").input_value() == "5"
        await page.get_by_label("Key Name").fill("after")
        await page.get_by_label("Requests/min").fill("")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Your changes are saved.")).to_be_visible()
        await expect(page.get_by_role("heading", name="after", level=1)).to_be_visible()
        await page.get_by_role("link", name="Close").click()
        await expect(page.get_by_role("link", name="after", exact=True)).to_be_visible()
    assert [(key["name"], key["requests_per_minute"]) for key in await stored(site)] == [("after", None)]


async def test_rotate(visit: Visit, site: Dashboard, script: bool) -> None:
    key = await make(site, "mine")
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await open_key(page, "mine")
        await page.get_by_role("link", name="Rotate Key").click()
        await page.get_by_label("The old secret ends").select_option(label="After 1 hour")
        await page.get_by_role("button", name="Rotate Key").click()
        await expect(page.get_by_text("API Key rotated! Copy it now")).to_be_visible()
        secret = await page.locator("#revealed").inner_text()
        assert SECRET.fullmatch(secret)
        await page.reload()
        assert secret not in await page.content()
    (after,) = await stored(site)
    assert after["revision"] == key["revision"] + 1
    assert after["preview"].startswith(secret[:8])


async def test_deactivate_and_activate(visit: Visit, site: Dashboard, script: bool) -> None:
    await make(site, "mine")
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await open_key(page, "mine")
        await page.get_by_role("button", name="Deactivate").click()
        await expect(page.get_by_text("The key is deactivated.")).to_be_visible()
        assert [key["status"] for key in await stored(site)] == ["inactive"]
        await page.get_by_role("button", name="Activate").click()
        await expect(page.get_by_text("The key is active again.")).to_be_visible()
    assert [key["status"] for key in await stored(site)] == ["active"]


async def test_revoke(visit: Visit, site: Dashboard, script: bool) -> None:
    await make(site, "mine")
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await open_key(page, "mine")
        await page.get_by_role("link", name="Revoke").click()
        await page.get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("The key is revoked")).to_be_visible()
        await expect(page.get_by_role("button", name="Activate")).to_be_visible()
    assert [key["status"] for key in await stored(site)] == ["revoked"]


async def test_delete(visit: Visit, site: Dashboard, script: bool) -> None:
    for name in ("one", "two"):
        await make(site, name)
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        question = page.get_by_text("Are you sure you want to delete 'one'? This action cannot be undone.")
        await page.get_by_role("link", name="Delete one").click()
        await expect(page.get_by_role("heading", name="Delete API Key")).to_be_visible()
        await expect(question).to_be_visible()
        await page.get_by_role("link", name="Cancel").click()
        await expect(question).to_be_hidden()
        assert len(await stored(site)) == 2
        await page.get_by_role("link", name="Delete one").click()
        await page.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("'one' was deleted.")).to_be_visible()
        await expect(page.get_by_role("link", name="one", exact=True)).to_have_count(0)
    assert [key["name"] for key in await stored(site)] == ["two"]


async def test_an_ephemeral_token_from_the_form(visit: Visit, site: Dashboard, script: bool) -> None:
    async with visit(site, script=script) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").fill("for a guest")
        await expect(page.get_by_label("Expires In (seconds)")).to_be_hidden()
        await page.get_by_role("switch", name="Ephemeral Token").check()
        await expect(page.get_by_label("Expiration")).to_be_hidden()
        await expect(page.get_by_label("Expires In (seconds)")).to_have_value("3600")
        await page.get_by_label("Expires In (seconds)").fill("0")
        await page.get_by_role("button", name="Create Key").click()
        await expect(
            page.get_by_text("Must be a whole number of seconds between 1 and 86400.")
        ).to_be_visible()
        await expect(page.get_by_label("Key Name")).to_have_value("for a guest")
        await page.get_by_label("Expires In (seconds)").fill("600")
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()
        secret = await page.locator("#revealed").inner_text()
        assert secret.startswith("gwe_")
        await page.get_by_role("link", name="Done").click()
        await expect(page.get_by_text(secret)).to_have_count(0)
        [key] = await stored(site)
        assert (key["kind"], key["parent_id"]) == ("ephemeral", None)


async def test_an_ephemeral_token_of_a_key(visit: Visit, site: Dashboard, script: bool) -> None:
    parent = await make(site, "alpha", allowed_models=["gpt-4o", "claude-*"])
    async with visit(site, script=script) as page:
        await page.goto(KEYS)
        await open_key(page, "alpha")
        await page.get_by_role("link", name="Ephemeral Token").click()
        await page.get_by_label("Allowed Models").fill("other")
        await page.get_by_role("button", name="Create Token").click()
        await expect(page.get_by_text("Names nothing that the parent allows")).to_be_visible()
        await page.get_by_label("Allowed Models").fill("claude-3")
        await page.get_by_label("Budget ($)").fill("0.5")
        await page.get_by_role("button", name="Create Token").click()
        await expect(page.get_by_text("Ephemeral Token created! Copy it now")).to_be_visible()
        token = await page.locator("#revealed").inner_text()
        assert token.startswith("gwe_")
        await page.get_by_role("link", name="Done").click()
        await expect(page.get_by_text(token)).to_have_count(0)
        await open_key(page, "alpha (ephemeral)")
        await expect(page.get_by_role("link", name="Edit", exact=True)).to_have_count(0)
        await page.get_by_role("link", name="Revoke").click()
        await page.get_by_role("button", name="Revoke", exact=True).click()
        await expect(page.get_by_text("The key is revoked")).to_be_visible()
        await page.get_by_role("link", name="The key that it was made from").click()
        await expect(page.get_by_role("heading", name="alpha", exact=True)).to_be_visible()
    [made] = [key for key in await stored(site) if key["kind"] == "ephemeral"]
    assert (made["parent_id"], made["status"], made["allowed_models"]) == (
        parent["id"],
        "revoked",
        ["claude-3"],
    )
