import json

from gateway_proxy.admin.actor import Role
from tests.support.dashboard import Dashboard, acting_as
from tests.support.mcp_facts import NEW, OLD, McpFacts, changed_tool, server_facts, tool_facts


async def test_servers_of_the_settings_are_listed_and_come_as_a_file(dashboard: Dashboard) -> None:
    page = await dashboard.get("/configuration/mcp-servers")
    assert "https://github.example.com/mcp" in page.text and "$0.01" in page.text
    rows = json.loads((await dashboard.get("/configuration/mcp-servers?format=json")).text)["data"]
    assert rows[0]["name"] == "github"
    assert "No server matches" in (await dashboard.get("/configuration/mcp-servers?search=zzz")).text


async def test_members_do_not_see_how_a_server_is_reached(dashboard: Dashboard) -> None:
    dashboard.actor = acting_as(Role.MEMBER)
    page = await dashboard.get("/configuration/mcp-servers")
    assert "github" in page.text and "github.example.com" not in page.text


async def test_without_servers_the_page_says_how_to_name_one(dashboard: Dashboard) -> None:
    dashboard.view.servers = []
    assert "[[mcp.servers]]" in (await dashboard.get("/configuration/mcp-servers")).text


async def test_a_server_with_its_tools_and_what_changed(dashboard: Dashboard) -> None:
    dashboard.view.facts = McpFacts(server_facts("github", tool_facts("search"), changed_tool("create")))
    assert "1 changed" in (await dashboard.get("/configuration/mcp-servers")).text
    page = await dashboard.get("/configuration/mcp-servers/github")
    assert page.text.index(">create<") < page.text.index(">search<")
    assert "&#34;new&#34;: 1" in page.text and "&#34;old&#34;: 1" in page.text and "Does search." in page.text
    assert (await dashboard.get("/configuration/mcp-servers/none")).status == 404


async def test_a_changed_tool_is_approved_as_it_was_shown(dashboard: Dashboard) -> None:
    dashboard.view.facts = McpFacts(server_facts("github", changed_tool("create")))
    path = "/configuration/mcp-servers/github/approve"
    done = await dashboard.post(path, {"tool": "create", "fingerprint": OLD})
    assert "changed again" in (await dashboard.get(done.location)).text
    done = await dashboard.post(path, {"tool": "create", "fingerprint": NEW})
    assert dashboard.view.facts.approved == [("github", "create", NEW)]
    page = await dashboard.get(done.location)
    assert "create is approved" in page.text and "Approve " not in page.text


async def test_viewers_see_and_do_not_approve(dashboard: Dashboard) -> None:
    dashboard.view.facts = McpFacts(server_facts("github", changed_tool("create", "blocked")))
    dashboard.actor = acting_as(Role.VIEWER)
    page = await dashboard.get("/configuration/mcp-servers/github")
    assert "Blocked" in page.text and "/approve" not in page.text


async def test_the_picker_offers_what_was_discovered(dashboard: Dashboard) -> None:
    dashboard.view.facts = McpFacts(server_facts("github", tool_facts("search"), tool_facts("create")))
    page = await dashboard.get("/configuration/api-keys/new")
    assert 'value="github/search"' in page.text and "Does create." in page.text
