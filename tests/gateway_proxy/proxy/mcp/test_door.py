"""The MCP door through the real routes, both eras towards clients and towards servers."""

from pathlib import Path

from tests.support.mcp_client import LegacyClient
from tests.support.mcp_world import World, open_world


async def test_a_modern_client_lists_and_calls_at_servers_of_both_eras(world: World) -> None:
    for server in ("new", "old"):
        client = world.client(f"/mcp/{server}")
        discovered = (await client.ask("server/discover")).result
        assert "2026-07-28" in discovered["supportedVersions"] and discovered["cacheScope"] == "private"
        assert await client.names() == ["ask", "echo", "fail", "tell", "wait"]
        told = await client.call("echo", a="ü")
        assert told.status == 200 and told.result["content"][0]["text"] == '{"a": "\\u00fc"}'
        assert told.result["resultType"] == "complete" and told.headers["x-request-id"].startswith("req_")
        assert (await client.call("fail")).result["isError"] is True
    assert [call["arguments"] for call in world.old.calls] == [{"a": "ü"}, {}]
    for server in (world.new, world.old):
        assert not any(world.served.secret in str(dict(headers)) for headers in server.headers)


async def test_a_legacy_client_has_a_session_and_calls_at_servers_of_both_eras(world: World) -> None:
    for server in ("new", "old"):
        client = await world.legacy(f"/mcp/{server}")
        assert (await client.notify("notifications/initialized")).status == 202
        assert (await client.ask("ping")).result == {}
        listed = (await client.ask("tools/list")).result
        assert [each["name"] for each in listed["tools"]][:2] == ["ask", "echo"] and "ttlMs" not in listed
        told = await client.call("echo", a=1)
        assert told.result == {"content": [{"type": "text", "text": '{"a": 1}'}]}
    assert [each["_meta"]["io.modelcontextprotocol/protocolVersion"] for each in world.new.calls] == [
        "2026-07-28"
    ]


async def test_a_session_is_its_keys_and_its_endpoints_and_ends(world: World) -> None:
    client = await world.legacy()
    assert (await client.send({"jsonrpc": "2.0", "id": 1, "method": "ping"})).error == (400, -32600)
    _, secret = await world.key()
    stranger = LegacyClient(world.http, client.url, secret)
    elsewhere = LegacyClient(world.http, client.url.replace("new", "old"), world.served.secret)
    for other in (stranger, elsewhere):
        other.session_id = client.session_id
        assert (await other.ask("ping")).error == (404, -32600)
        assert (await other.send(None, other.session, "DELETE")).status == 404
    assert (await client.ask("ping")).status == 200
    assert (await client.send(None, client.session, "DELETE")).status == 204
    assert (await client.ask("ping")).error == (404, -32600)


async def test_the_endpoint_of_all_servers(world: World) -> None:
    client = world.client("/mcp")
    names = await client.names()
    assert names == sorted(names) and names[0] == "new__ask" and names[-1] == "old__wait"
    assert (await client.call("old__echo", x=1)).status == 200
    assert world.old.calls[-1]["name"] == "echo" and not world.new.calls
    assert (await client.ask("prompts/get", name="new__greet")).result["messages"][0]["content"][
        "text"
    ] == "greet"
    read = (await client.ask("resources/read", uri="mcp+old+test://a")).result
    assert read["contents"] == [{"uri": "mcp+old+test://a", "text": "x"}]


async def test_the_keys_rule_lists_and_refuses_alike(world: World) -> None:
    scope = {"enabled": True, "access_mode": "allow_list", "servers": ["new"], "tools": {"new": ["echo"]}}
    key_id, secret = await world.key(mcp=scope)
    client, every = world.client(secret=secret), world.client("/mcp", secret)
    assert await client.names() == ["echo"] and await every.names() == ["new__echo"]
    assert (await client.call("fail")).error == (await client.call("nothing")).error == (200, -32602)
    assert (await world.client("/mcp/old", secret).ask("tools/list")).error == (404, -32602)
    assert (await every.call("old__echo")).error == (200, -32602) and not world.old.calls
    await world.edit(key_id, mcp={**scope, "tools": {"new": ["fail"]}})
    assert await client.names() == ["fail"] and (await client.call("echo")).error == (200, -32602)
    await world.edit(key_id, mcp={"enabled": False})
    told = await client.ask("tools/list")
    assert told.error == (403, 403) and told.value["error"]["data"]["code"] == "mcp_disabled"


async def test_headers_that_contradict_the_body_are_refused(world: World) -> None:
    client = world.client()
    body, headers = client.modern("tools/call", name="echo", arguments={})
    assert (await client.send(body, {**headers, "Mcp-Name": "fail"})).error == (400, -32020)
    refused = await client.send(body, {**headers, "Mcp-Method": "tools/list"})
    assert refused.error == (400, -32020) and refused.value["id"] == body["id"]
    assert (await client.send(b"{", headers)).error == (400, -32700)
    assert (await client.ask("nothing/here")).error == (404, -32601)
    assert not world.new.calls


async def test_foreign_origins_and_hosts_are_refused(world: World) -> None:
    client = world.client()
    body, headers = client.modern("tools/list")
    told = await client.send(body, {**headers, "Origin": "https://evil.example"})
    assert told.status == 403 and told.value["error"]["data"]["code"] == "origin_not_allowed"
    assert (await client.send(body, {**headers, "Host": "evil.example"})).status == 403
    assert (
        await client.send(body, {**headers, "Origin": f"http://127.0.0.1:{world.served.port}"})
    ).status == 200


async def test_a_batch_is_an_exchange_for_each_request(world: World) -> None:
    client = await world.legacy("/mcp")
    await client.initialize("2025-03-26")
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": f"{server}__echo"}}
        for number, server in enumerate(("new", "old"))
    ]
    session = {"Mcp-Session-Id": client.session_id}
    told = await client.send([*calls, {"jsonrpc": "2.0", "method": "notifications/initialized"}], session)
    assert [(each["id"], "result" in each) for each in told.value] == [(0, True), (1, True)]
    assert [row[0] for row in await world.rows("SELECT model_requested FROM ledger ORDER BY 1")] == [
        "new/echo",
        "old/echo",
    ]
    later = await client.send(calls, {**session, "MCP-Protocol-Version": "2025-11-25"})
    assert later.error == (400, -32600)


async def test_denied_may_be_told_from_unknown_by_setting(tmp_path: Path) -> None:
    async with open_world(tmp_path, '[mcp]\ndenied_style = "forbidden"\n') as world:
        _, secret = await world.key(
            mcp={"enabled": True, "access_mode": "allow_list", "servers": ["new"], "tools": {"new": ["echo"]}}
        )
        client = world.client(secret=secret)
        assert await client.names() == ["echo"]
        assert (await client.call("fail")).error == (403, 403) and (await client.call("nothing")).error == (
            200,
            -32602,
        )
        assert (await world.client("/mcp/old", secret).ask("tools/list")).error == (403, 403)
