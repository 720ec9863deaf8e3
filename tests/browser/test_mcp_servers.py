"""What was discovered of MCP servers in a real browser: the picker of the key form, and the page on which tools are approved."""

import pytest
from playwright.async_api import expect

from gateway_proxy.admin.keys import KeyQuery
from tests.support.browser import Visit
from tests.support.dashboard import OWNER, Dashboard
from tests.support.mcp_facts import NEW, McpFacts, changed_tool, server_facts, tool_facts

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("script", [True, False], ids=["script", "plain"]),
]
KEYS = "/dashboard/configuration/api-keys"
SERVERS = "/dashboard/configuration/mcp-servers"


async def test_tools_are_picked_from_what_was_discovered(visit: Visit, site: Dashboard, script: bool) -> None:
    site.view.facts = McpFacts(
        server_facts("github", tool_facts("search_issues"), tool_facts("create_issue"))
    )
    async with visit(site, script=script) as page:
        await page.goto(f"{KEYS}/new")
        await page.get_by_label("Key Name").fill("Agent")
        await page.get_by_role("radio", name="MCP").check(force=True)
        await page.get_by_role("switch", name="MCP Enabled").check()
        await page.get_by_text("All tools").click()
        await page.get_by_label("Only the tools chosen here").check()
        await expect(page.get_by_text("Does create_issue.")).to_be_visible()
        if script:
            await page.get_by_label("Search tools").fill("search")
            await expect(page.get_by_text("Does create_issue.")).to_be_hidden()
        await page.get_by_role("checkbox", name="search_issues").check()
        await page.get_by_role("button", name="Create Key").click()
        await expect(page.get_by_text("API Key created! Copy it now")).to_be_visible()
    (key,) = (await site.admin.keys.search(OWNER, KeyQuery())).keys
    assert key["mcp"]["tools"] == {"github": ["search_issues"]}


async def test_a_changed_tool_is_looked_at_and_approved(visit: Visit, site: Dashboard, script: bool) -> None:
    site.view.facts = McpFacts(
        server_facts("github", tool_facts("search"), changed_tool("create", "blocked"))
    )
    async with visit(site, script=script) as page:
        await page.goto(SERVERS)
        await expect(page.get_by_text("1 changed")).to_be_visible()
        await page.get_by_role("link", name="github").click()
        await expect(page.get_by_text("Blocked")).to_be_visible()
        if script:
            await page.get_by_label("Search tools").fill("creat")
            await expect(page.get_by_text("Does search.")).to_be_hidden()
        await page.get_by_text("What has changed in create").click()
        await expect(page.get_by_role("region", name="Former definition of create")).to_contain_text("old")
        await expect(page.get_by_role("region", name="Definition of create now")).to_contain_text("new")
        await page.get_by_role("button", name="Approve create").click()
        await expect(page.get_by_text("create is approved as it is now.")).to_be_visible()
        await expect(page.get_by_text("Blocked")).to_be_hidden()
    assert site.view.facts.approved == [("github", "create", NEW)]
