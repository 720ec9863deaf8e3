from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.choices import ChoiceAdmin, ServerChoice, ToolChoice
from gateway_proxy.admin.gateway_view import NoGateway
from tests.support.dashboard import OWNER, Dashboard, FakeView, acting_as
from tests.support.mcp_facts import McpFacts, server_facts, tool_facts


async def test_managers_choose_among_members(dashboard: Dashboard) -> None:
    for email in ("b@example.com", "a@example.com"):
        await dashboard.store.registry.add_member("default", email)
    await dashboard.store.registry.add_member("other", "c@example.com")
    choices = await dashboard.admin.choices.list_choices(OWNER)
    assert choices.owners == ("a@example.com", "b@example.com")
    assert (await dashboard.admin.choices.list_choices(acting_as(Role.MEMBER))).owners == ()


async def test_providers_and_servers_are_those_of_the_settings(dashboard: Dashboard) -> None:
    dashboard.view.provider_names = ["openai", "azure"]
    dashboard.view.servers = ["github"]
    choices = await dashboard.admin.choices.list_choices(OWNER)
    assert choices.known
    assert choices.providers == ("openai", "azure")
    assert choices.servers == (ServerChoice("github"),)
    dashboard.view.facts = McpFacts(
        server_facts("github", tool_facts("search"), tool_facts("odd", description=None))
    )
    choices = await dashboard.admin.choices.list_choices(OWNER)
    assert choices.servers[0].tools == (ToolChoice("search", "Does search."), ToolChoice("odd"))


async def test_a_silent_gateway_leaves_them_unknown(dashboard: Dashboard) -> None:
    dashboard.view.silent = True
    choices = await dashboard.admin.choices.list_choices(OWNER)
    assert not choices.known
    assert choices.providers == ()
    assert not (await ChoiceAdmin(dashboard.store, NoGateway()).list_choices(OWNER)).known


def test_the_fake_speaks_as_the_gateway_does() -> None:
    from gateway_proxy.admin.gateway_view import GatewayView

    view: GatewayView = FakeView()
    assert view
