"""What calls leave in the MCP log, through the real routes."""

from pathlib import Path
from typing import Any

from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.storage.mcp_log import McpLogQuery
from tests.support.mcp_world import World, open_world


async def rows_of(world: World) -> list[McpLogRow]:
    gateway = world.served.gateway
    await gateway.mcp.books.flush()
    return (await gateway.store.mcp_log.search(McpLogQuery())).rows[::-1]


def facts(row: McpLogRow) -> tuple[Any, ...]:
    return row.server, row.tool, row.status, row.rule, row.error_code, row.cost_nanos


async def test_a_row_says_what_was_called_and_which_rule_decided(world: World) -> None:
    scope = {
        "enabled": True,
        "access_mode": "allow_list",
        "servers": ["new"],
        "tools": {"new": ["echo", "fail"]},
    }
    key_id, secret = await world.key(mcp=scope, requests_per_minute=3)
    client, every = world.client(secret=secret), world.client("/mcp", secret)
    await client.names()
    for name in ("echo", "fail", "tell", "nothing"):
        await client.call(name)
    await every.call("old__echo")
    await client.ask("prompts/get", name="greet")
    await client.call("echo")
    rows = await rows_of(world)
    assert sorted(facts(row) for row in rows) == sorted(
        [
            ("new", "echo", "ok", "tools", "", 10_000_000),
            ("new", "fail", "error", "tools", "", 10_000_000),
            ("new", "tell", "denied", "tools", "mcp_denied", 0),
            ("new", "nothing", "error", "unknown", "mcp_invalid", 0),
            ("old", "echo", "denied", "allow_list", "mcp_denied", 0),
            ("new", "greet", "ok", "allow_list", "", 0),
            ("new", "echo", "denied", "rate_limit_exceeded", "rate_limit_exceeded", 0),
        ]
    )
    assert {(row.key_id, row.key_revision, row.arguments, row.result) for row in rows} == {
        (key_id, 1, None, None)
    }
    assert {row.method for row in rows if row.tool == "greet"} == {"prompts/get"}
    assert {row.http_status for row in rows if row.error_code == "rate_limit_exceeded"} == {429}


async def test_the_revision_is_that_of_the_decision(world: World) -> None:
    key_id, secret = await world.key()
    client = world.client(secret=secret)
    await client.call("echo")
    await world.edit(key_id, mcp={"enabled": True, "access_mode": "deny_list", "servers": ["new"]})
    await client.call("echo")
    assert [(row.status, row.rule, row.key_revision) for row in await rows_of(world)] == [
        ("ok", "allow_all", 1),
        ("denied", "deny_list", 2),
    ]
    logged = (await world.rows("SELECT status, error_code FROM request_log ORDER BY at DESC"))[0]
    assert tuple(logged) == (404, "mcp_denied")


async def test_bodies_only_where_the_settings_ask_and_redacted(tmp_path: Path) -> None:
    async with open_world(tmp_path, "[logs]\nbodies = true\n") as world:
        await world.client().call("echo", query="open", api_key="sk-abcdefghijklmnopqrst")
        row = (await rows_of(world))[0]
        assert row.arguments == '{"arguments":{"query":"open","api_key":"[redacted]"}}'
        assert row.result is not None and "open" in row.result and "sk-abc" not in row.result
