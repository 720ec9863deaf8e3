"""Calls through the real routes: metered, cut, settled."""

import asyncio

import pytest

from tests.support.mcp_server import WHOLE, tool
from tests.support.mcp_world import World
from tests.support.waiting import until


async def test_calls_are_counted_and_charged_exactly(world: World) -> None:
    _, secret = await world.key(requests_per_minute=4, budget_usd="0.52", tokens_per_minute=0)
    client = world.client(secret=secret)
    assert (await client.call("echo")).headers["x-gateway-cost-usd"] == "0.01"
    assert (await client.ask("tools/call", name="tell")).result["content"] == WHOLE["content"]
    await client.names()  # what the gateway answers itself is no request of the limits
    assert (await client.call("ask")).result["resultType"] == "input_required"
    refused = await client.ask("tools/call", name="tell")
    assert refused.error == (429, 429) and refused.value["error"]["data"]["code"] == "insufficient_quota"
    assert (await client.call("echo")).status == 200
    limited = await client.call("echo")
    assert limited.error == (429, 429) and limited.value["error"]["data"]["code"] == "rate_limit_exceeded"
    assert int(limited.headers["retry-after"]) > 0
    ledger = await world.rows(
        "SELECT provider, model_requested, operation, charged_nanos, usage_source FROM ledger ORDER BY admitted_at"
    )
    assert [tuple(row) for row in ledger] == [
        ("mcp:new", "new/echo", "mcp", 10_000_000, "provider"),
        ("mcp:new", "new/tell", "mcp", 500_000_000, "provider"),
        ("mcp:new", "new/ask", "mcp", 0, "none"),
        ("mcp:new", "new/echo", "mcp", 10_000_000, "provider"),
    ]


async def test_a_key_that_is_revoked_ends_its_calls(world: World) -> None:
    key_id, secret = await world.key(max_parallel_requests=1)
    running = asyncio.ensure_future(world.client(secret=secret).call("wait"))
    while not world.new.running:
        await asyncio.sleep(0.01)
    assert (await world.client(secret=secret).call("echo")).error == (429, 429)
    await world.revoke(key_id)
    async with asyncio.timeout(2):
        told = await running
    assert told.error == (401, 401) and told.value["error"]["data"]["code"] == "key_revoked"
    await until(lambda: world.new.dropped == 1)


@pytest.mark.parametrize("server", ["new", "old"])
async def test_a_client_that_leaves_cancels_its_call(world: World, server: str) -> None:
    upstream = {"new": world.new, "old": world.old}[server]
    running = asyncio.ensure_future(world.client(f"/mcp/{server}").call("wait"))
    await until(lambda: upstream.running)
    running.cancel()
    await until(lambda: upstream.dropped == 1 and not world.served.gateway.plane.sweeper.runs)
    if server == "old":
        await until(lambda: upstream.cancelled)
    rows = await world.rows("SELECT outcome, charged_nanos FROM ledger")
    assert [row[0] for row in rows] == ["client_gone"]


async def test_a_session_that_the_server_forgot_is_made_anew(world: World) -> None:
    client = world.client("/mcp/old")
    assert (await client.call("echo")).status == 200
    before = world.old.sessions
    world.old.forget()
    assert (await client.call("echo")).status == 200
    assert world.old.sessions == before + 1


async def test_a_legacy_client_cancels_by_notification(world: World) -> None:
    client = await world.legacy()
    running = asyncio.ensure_future(client.call("wait"))
    await until(lambda: world.new.running)
    assert (await client.notify("notifications/cancelled", requestId=1)).status == 202
    told = await running
    assert told.status == 499 or told.value is None
    await until(lambda: world.new.dropped == 1)


def region_told(world: World) -> str:
    """By the last call; the gateway's own questions come at any time."""
    calls = [headers for headers in world.new.headers if headers.get("Mcp-Method") == "tools/call"]
    return str(calls[-1]["Mcp-Param-Region"])


async def test_headers_that_repeat_arguments_reach_a_server_of_the_modern_era(world: World) -> None:
    echo = tool("echo", properties={"region": {"type": "string", "x-mcp-header": "Region"}})
    for upstream in (world.new, world.old):
        upstream.tools = [echo]
    await world.served.gateway.mcp.servers.discovery.refresh()
    body, headers = world.client().modern("tools/call", name="echo", arguments={"region": "eu"})
    assert (await world.client().send(body, {**headers, "Mcp-Param-Region": "its own"})).status == 200
    assert region_told(world) == "its own"
    legacy = await world.legacy()
    assert (await legacy.call("echo", region="eu")).status == 200
    assert region_told(world) == "eu", "a legacy client knows nothing of it"
    assert (await world.client("/mcp/old").call("echo", region="eu")).status == 200
    assert "Mcp-Param-Region" not in world.old.headers[-1]


async def test_an_error_whose_code_is_no_number_is_the_servers_and_not_ours(world: World) -> None:
    world.new.tools = [tool("refuse")]
    await world.served.gateway.mcp.servers.discovery.refresh()
    for code in ([], {}, "-32602", None):
        assert (await world.client().call("refuse", code=code)).error == (200, -32603)
