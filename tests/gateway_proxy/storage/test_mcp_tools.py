"""What is approved of tools, kept."""

from gateway_proxy.core.approval import Approval
from gateway_proxy.storage import Store
from gateway_proxy.storage.changes import list_changes

SEEN = Approval("s", "x", "a" * 64, '{"name":"x"}')
NOW = Approval("s", "x", "b" * 64, '{"name":"x","n":1}')


async def test_the_first_sight_stays_until_another_is_approved(store: Store) -> None:
    rows = store.mcp_tools
    await rows.add("o", [SEEN], 1)
    await rows.add("o", [NOW], 2)
    assert await rows.list("o") == [SEEN] and await rows.list("other") == []
    await rows.approve("o", NOW, home="o", actor="ada", ip="127.0.0.1")
    assert await rows.list("o") == [NOW]
    (change,) = await list_changes(store.db)
    assert (change.action, change.organization, change.actor) == ("mcp.tool_approved", "o", "ada")
    assert NOW.fingerprint in change.details_json
