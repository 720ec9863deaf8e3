import json

from gateway_proxy.admin.actor import Role
from tests.support.dashboard import Dashboard, acting_as


async def test_servers_of_the_settings_are_listed_and_come_as_a_file(dashboard: Dashboard) -> None:
    page = await dashboard.get("/configuration/mcp-servers")
    assert (
        "https://github.example.com/mcp" in page.text and "/mcp/github" in page.text and "$0.01" in page.text
    )
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
