"""Listed exactly if callable, through the real routes: over every kind of rule, on both endpoints, as one key is edited."""

import json
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.proxy import sweeper
from tests.support.mcp_client import McpClient
from tests.support.mcp_world import World, open_world
from tests.support.waiting import until

pytestmark = pytest.mark.slow
TOOLS = ("ask", "echo", "fail", "tell")
SERVERS = ("new", "old")
SCOPES: list[dict[str, Any]] = [
    {"enabled": True, "access_mode": mode, "servers": list(servers), "tools": tools}
    for mode, servers, tools in product(
        ("allow_all", "deny_all", "allow_list", "deny_list"),
        ((), ("new",), ("new", "old")),
        ({}, {"new": ["echo"]}, {"new": [], "old": ["echo", "fail"]}),
    )
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def expected(scope: dict[str, Any], server: str, tool: str) -> bool:
    """Said once more, in the words of the documentation."""
    mode, listed = scope["access_mode"], server in scope["servers"]
    reached = {"allow_all": True, "deny_all": False, "allow_list": listed, "deny_list": not listed}[mode]
    return reached and (server not in scope["tools"] or tool in scope["tools"][server])


async def callable_names(client: McpClient, names: list[str]) -> set[str]:
    found = set()
    for name in names:
        told = await client.call(name)
        if "result" in told.value:
            found.add(name)
        else:
            assert told.value["error"]["code"] == -32602 and told.status in (200, 404)
    return found


async def test_listed_is_callable_as_a_key_is_edited(world: World) -> None:
    key_id, secret = await world.key()
    every = world.client("/mcp", secret)
    for scope in SCOPES:
        # The edit is a merge patch: null takes out what an earlier one said of a server.
        await world.edit(key_id, mcp={**scope, "tools": {name: scope["tools"].get(name) for name in SERVERS}})
        right = {
            f"{server}__{tool}" for server, tool in product(SERVERS, TOOLS) if expected(scope, server, tool)
        }
        joined = [f"{server}__{tool}" for server, tool in product(SERVERS, TOOLS)]
        listed = set(await every.names()) - {"new__wait", "old__wait"}
        assert listed == await callable_names(every, joined) == right, scope
        for server in SERVERS:
            one = world.client(f"/mcp/{server}", secret)
            told = await one.ask("tools/list")
            mine = {name.partition("__")[2] for name in right if name.startswith(f"{server}__")}
            names = {tool["name"] for tool in told.value.get("result", {}).get("tools", [])} - {"wait"}
            assert names == await callable_names(one, list(TOOLS)) == mine, (scope, server)


async def test_a_token_may_what_it_and_its_key_may_and_both_pay(world: World) -> None:
    scope = {"enabled": True, "access_mode": "allow_all", "tools": {"new": ["echo", "fail"]}}
    key_id, secret = await world.key(mcp=scope, budget_usd="0.02")
    narrowed = {
        "ttl_seconds": 60,
        "mcp": {"enabled": True, "access_mode": "allow_list", "servers": ["new"], "tools": {"new": ["echo"]}},
    }
    origin = f"http://127.0.0.1:{world.served.port}"
    headers = {"Authorization": f"Bearer {secret}"}
    async with world.http.post(f"{origin}/v1/key/ephemeral", json=narrowed, headers=headers) as response:
        token = (await response.json())["token"]
    client = world.client("/mcp", token)
    assert await client.names() == ["new__echo"]
    assert (await client.call("new__echo")).status == 200
    assert (await client.call("new__fail")).error == (200, -32602)
    assert (await world.client("/mcp/new", secret).call("fail")).status == 200
    assert (await client.call("new__echo")).error == (429, 429), "the key's budget is spent"
    await world.edit(key_id, mcp={"enabled": False})
    told = await client.ask("tools/list")
    assert told.error == (403, 403) and told.value["error"]["data"]["code"] == "mcp_disabled"


async def test_a_silent_server_keeps_its_client_connected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "EARLY_HEAD_SECONDS", 0.05)
    monkeypatch.setattr(sweeper, "KEEP_ALIVE_SECONDS", 0.05)
    client = world.client()
    body, headers = client.modern("tools/call", name="wait")

    async with client.open("POST", json.dumps(body).encode(), headers) as response:
        assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream"
        assert await response.content.readline() == b": keep-alive\n"
        world.new.gate.set()
        rest = (await response.read()).decode()
    assert '"result"' in rest.split("data: ")[-1]
    await until(lambda: not world.served.gateway.plane.sweeper.runs)
