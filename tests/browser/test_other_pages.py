"""Acts on members, tokens and gateways with and without a script; pages of one thing are accessible and fit."""

import pytest
from playwright.async_api import expect

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.core.ledger import BodyRow
from tests.support.browser import Visit, list_violations
from tests.support.dashboard import OWNER, Dashboard
from tests.support.furnish import HOSTILE, furnish
from tests.support.traffic import add_request

pytestmark = pytest.mark.asyncio(loop_scope="session")
EITHER_WAY = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])


@pytest.mark.parametrize("width", [1440, 360])
async def test_pages_of_one_thing_are_accessible_and_fit(visit: Visit, site: Dashboard, width: int) -> None:
    await furnish(site)
    await add_request(
        site.store,
        "req_good",
        client_request_id="c" * 120,
        trace_id="t" * 32,
        metadata_json='{"team":"' + "x" * 500 + '"}',
    )
    await site.store.bodies.add(
        [BodyRow("req_good", 1, f'{{"a": "{HOSTILE}", "b": "{"w" * 60_000}"}}', HOSTILE * 300)]
    )
    await add_request(site.store, "req_bad", status=502, error_code="upstream_broken", model="m" * 300)
    member = (await site.admin.members.list(OWNER))[0]["id"]
    gateway = (await site.store.registry.list_gateways())[0].id
    paths = (
        "logs/req_good", "logs/req_bad", f"members/{member}", f"members/{member}/remove", f"gateways/{gateway}",
        "?range=custom", "usage?by=metadata&then=day&range=custom", "logs?status=abc", "logs?model=none",
    )  # fmt: skip
    found = []
    async with visit(site, width=width) as page:
        for path in paths:
            await page.goto(f"/dashboard/{path}".replace("/?", "?"))
            await page.locator("details.body").evaluate_all(
                "each => each.forEach(body => (body.open = true))"
            )
            assert await page.evaluate("window.hacked") is None, path
            rules = (
                () if width > 900 else ("scrollable-region-focusable",)
            )  # what can differ on a small screen
            found += [f"{path}: {text}" for text in await list_violations(page, *rules)]
            wide = await page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            found += [f"{path}: {wide} pixels too wide"] * (wide > 0)
    assert not found, "\n".join(found)


@EITHER_WAY
async def test_a_member_is_invited_changed_and_removed(visit: Visit, site: Dashboard, script: bool) -> None:
    ada = await site.store.registry.add_member("default", OWNER.email, "Ada", "owner")
    site.actor = Actor(
        name=OWNER.name, role=Role.OWNER, organization="default", member_id=ada.id, email=OWNER.email
    )
    async with visit(site, script=script) as page:
        await page.goto("/dashboard/members")
        await page.get_by_role("link", name="Invite a member").click()
        await page.get_by_label("E-mail address").fill("new")
        await page.get_by_role("button", name="Make the invitation").click()
        await expect(page.locator("#email-error")).to_be_visible()
        await page.get_by_label("E-mail address").fill("new@example.com")
        await page.get_by_role("button", name="Make the invitation").click()
        await expect(page.locator(".reveal-value")).to_contain_text("/dashboard/invite/")
        await page.get_by_role("link", name="Done").click()
        await page.get_by_role("link", name="new@example.com").click()
        await page.get_by_label("Role").select_option("admin")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("row", name="new@example.com")).to_contain_text("Admin")
        await page.get_by_role("link", name="new@example.com").click()
        await page.get_by_role("link", name="Remove new@example.com").click()
        await page.get_by_role("button", name="Remove").click()
        await expect(
            page.get_by_text("new@example.com was removed; their keys are deactivated.")
        ).to_be_visible()


@EITHER_WAY
async def test_a_token_is_made_and_revoked(visit: Visit, site: Dashboard, script: bool) -> None:
    async with site.store.identity.change() as change:
        await change.ensure_organization("default")
    async with visit(site, script=script) as page:
        await page.goto("/dashboard/settings/tokens")
        await page.get_by_role("link", name="Create a token").first.click()
        await page.get_by_label("Name").fill("CI")
        await page.get_by_label("Of which member").fill("")
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_text("Token created! Copy it now")).to_be_visible()
        secret = (await page.locator(".reveal-value").inner_text()).strip()
        assert await site.admin.tokens.authenticate(secret, "")
        copy = page.get_by_role("button", name="Copy")
        if script:
            await expect(copy).to_be_visible()
        else:
            await expect(copy).to_be_hidden()
        await page.get_by_role("link", name="Done").click()
        await page.get_by_role("link", name="Revoke CI").click()
        await page.get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("CI was revoked.")).to_be_visible()
        assert await site.admin.tokens.authenticate(secret, "") is None


async def test_a_chart_tells_what_is_under_the_pointer_and_has_its_table(
    visit: Visit, site: Dashboard
) -> None:
    await add_request(site.store, "req_1")
    async with visit(site) as page:
        await page.goto("/dashboard?range=1h")
        chart = page.locator("[data-chart]").first
        await chart.locator(".slot").last.hover()
        await expect(chart.locator("[data-readout]")).to_contain_text("answered 1")
        await chart.get_by_text("Requests as a table").click()
        await expect(chart.get_by_role("table")).to_be_visible()
