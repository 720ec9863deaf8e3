"""`/mcp/logs` over HTTP."""

import pytest

from gateway_proxy.admin.actor import Role
from tests.support.admin import actor_of
from tests.support.mcp_rows import make_row

OWNER = actor_of(Role.OWNER)


@pytest.fixture(autouse=True)
async def _calls(scene) -> None:
    rows = [
        make_row("r1", 1),
        make_row("r2", 2, status="denied", tool="delete"),
        make_row("r3", 3, arguments='{"a":1}'),
    ]
    await scene.store.mcp_log.add([row._replace(organization=OWNER.organization) for row in rows])


async def test_filters_and_pages(api) -> None:
    async def ids(query: str) -> list[str]:
        return [row["request_id"] for row in (await api.call("GET", f"/mcp/logs?{query}", OWNER))[1]["data"]]

    assert await ids("") == ["r3", "r2", "r1"]
    assert await ids("status=denied") == await ids("tool=delete") == await ids("status=failures") == ["r2"]
    assert await ids("server=nothing") == await ids("key=key_z") == []
    assert await ids("from=1970-01-01T00:00:00.002Z&to=1970-01-01T00:00:00.003Z") == ["r2"]
    _, page, _ = await api.call("GET", "/mcp/logs?limit=2", OWNER)
    assert await ids(f"cursor={page['next_cursor']}") == ["r1"]
    assert page["data"][0]["arguments"] == '{"a":1}' and page["data"][1]["arguments"] is None


async def test_what_it_does_not_know_is_refused(api) -> None:
    for query in ("model=x", "status=maybe", "cursor=x"):
        assert (await api.call("GET", f"/mcp/logs?{query}", OWNER))[0] == 422
