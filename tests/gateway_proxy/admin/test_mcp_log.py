"""The MCP log for admins: whose rows one sees."""

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.mcp_log import McpLogQuery
from gateway_proxy.admin.problem import Invalid
from tests.support.admin import FOREIGN, PEOPLE, actor_of
from tests.support.mcp_rows import make_row

OWNER, MEMBER = actor_of(Role.OWNER), actor_of(Role.MEMBER)


@pytest.fixture
async def calls(scene):
    await scene.store.mcp_log.add(
        [
            make_row("r1", 1, organization=OWNER.organization, cost_nanos=1_500_000_000),
            make_row("r2", 2, organization=OWNER.organization, owner=PEOPLE[Role.MEMBER]),
            make_row("r3", 3, organization=FOREIGN),
        ]
    )
    return scene.admin.mcp_log


async def test_everybody_sees_what_is_theirs(calls) -> None:
    async def seen(actor, **query) -> list[str]:
        return [row["request_id"] for row in (await calls.search(actor, McpLogQuery(**query))).data]

    assert await seen(OWNER) == await seen(actor_of(Role.VIEWER)) == ["r2", "r1"]
    assert await seen(MEMBER) == await seen(MEMBER, owner="ada@example.com") == ["r2"]
    assert await seen(OWNER, organization=FOREIGN) == ["r2", "r1"]
    assert await seen(actor_of(Role.OWNER, FOREIGN)) == ["r3"]


async def test_money_and_time_as_people_write_them(calls) -> None:
    shown = (await calls.search(OWNER, McpLogQuery(server="github", end_ms=2))).data[0]
    assert (shown["cost_usd"], shown["at"], shown["key_revision"]) == ("1.50", "1970-01-01T00:00:00.001Z", 3)


async def test_a_wrong_cursor_is_told(calls) -> None:
    with pytest.raises(Invalid):
        await calls.search(OWNER, McpLogQuery(), cursor="x")


async def test_arguments_are_for_managers_and_the_keys_owner(calls, scene) -> None:
    row = make_row("r9", 9, organization=OWNER.organization, owner=PEOPLE[Role.MEMBER])
    await scene.store.mcp_log.add([row._replace(arguments="{}", result="[]")])
    for actor, told in ((OWNER, ("{}", "[]")), (MEMBER, ("{}", "[]")), (actor_of(Role.VIEWER), (None, None))):
        newest = (await calls.search(actor, McpLogQuery(), limit=1)).data[0]
        assert (newest["arguments"], newest["result"]) == told
