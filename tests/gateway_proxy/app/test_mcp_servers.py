"""The servers of a running gateway: processes among them, tools that change, and nothing left behind."""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from gateway_proxy.app import mcp_servers
from gateway_proxy.app.inside import Inside
from gateway_proxy.app.mcp_servers import McpServers
from gateway_proxy.app.server import reload
from gateway_proxy.config import config_from_dict
from gateway_proxy.core.approval import Approval
from gateway_proxy.core.clock import Clock
from gateway_proxy.proxy.mcp import discovery
from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.mcp_tools import McpToolRows
from tests.support.in_process import Served, serve
from tests.support.mcp_client import McpClient
from tests.support.mcp_link import FakeLink
from tests.support.mcp_server import McpServer, server_toml, tool
from tests.support.mcp_world import EVERYTHING
from tests.support.waiting import until

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[2] / "support" / "mcp_stdio.py"
BLOCK = 'on_changed_tool = "block"'


def stdio_toml(name: str, *habits: str, extra: str = "") -> str:
    words = ", ".join(f'"{word}"' for word in (sys.executable, "-S", str(SCRIPT), *habits))
    return f'[[mcp.servers]]\nname = "{name}"\ncommand = [{words}]\n{extra}\n'


class Scene:
    """A gateway with these servers, and a client of it."""

    def __init__(self, served: Served, http: aiohttp.ClientSession) -> None:
        self.served, self.servers = served, served.gateway.mcp.servers
        self.inside = Inside(served.gateway)
        self._http = http

    def client(self, path: str) -> McpClient:
        return McpClient(self._http, f"http://127.0.0.1:{self.served.port}{path}", self.served.secret)

    def facts(self, name: str = "s") -> dict[str, Any]:
        told: dict[str, Any] = next(one for one in self.inside.answer("mcp_servers") if one["name"] == name)
        return told


@contextlib.asynccontextmanager
async def open_scene(folder: Path, tables: str) -> AsyncIterator[Scene]:
    async with serve(folder, tables, mcp=EVERYTHING) as served, aiohttp.ClientSession() as http:
        yield Scene(served, http)


async def test_processes_of_both_eras_serve_and_end_with_the_gateway(tmp_path: Path) -> None:
    tables = stdio_toml("new", "modern", "fork") + stdio_toml("old", "legacy")
    async with open_scene(tmp_path, tables) as scene:
        assert await scene.client("/mcp").names() == ["new__echo", "old__echo"]
        for name in ("new", "old"):
            assert (await scene.client(f"/mcp/{name}").call("echo", a=1)).status == 200
            assert scene.facts(name)["protocol_version"] and scene.facts(name)["calls"] == 1
        pids = [link.link._child.pid for link in scene.servers.links.values()]  # type: ignore[attr-defined]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_process_that_crashes_is_back_for_the_next_call(tmp_path: Path) -> None:
    async with open_scene(tmp_path, stdio_toml("s", "all")) as scene:
        client = scene.client("/mcp/s")
        crashed = await client.call("crash")
        assert crashed.error is not None and scene.facts()["failures"]
        assert "status 3" in scene.facts()["last_error"]
        assert (await client.call("echo")).status == 200


async def test_a_changed_tool_is_blocked_until_it_is_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with McpServer(tools=("echo",)) as server:
        async with open_scene(tmp_path, server_toml("s", server.url, BLOCK)) as scene:
            client = scene.client("/mcp/s")
            assert await client.names() == ["echo"]
            server.tools[0] = tool("echo", title="another")
            await scene.servers.discovery.refresh()
            assert await client.names() == []
            assert (await client.call("echo")).error == (200, -32602)
            (told,) = scene.facts()["tools"]
            changed = scene.inside.answer("mcp_changed", "s", "echo")
            assert told["status"] == "blocked" and told["fingerprint"] == changed["fingerprint"]
            scene.inside.answer("mcp_approve", "s", "echo", changed["fingerprint"], changed["definition"])
            assert await client.names() == ["echo"] and scene.facts()["tools"][0]["status"] == "ok"
            assert scene.inside.answer("mcp_changed", "s", "echo") is None


async def test_an_approval_through_another_gateway_counts_within_a_second(tmp_path: Path) -> None:
    async with McpServer(tools=("echo",)) as server:
        async with open_scene(tmp_path, server_toml("s", server.url, BLOCK)) as scene:
            assert await scene.client("/mcp/s").names() == ["echo"]
            server.tools[0] = tool("echo", title="another")
            await scene.servers.discovery.refresh()
            changed = scene.inside.answer("mcp_changed", "s", "echo")
            approval = Approval("s", "echo", changed["fingerprint"], changed["definition"])
            rows = scene.served.gateway.store.mcp_tools
            await rows.approve("default", approval, home="default", actor="ada")
            await until(lambda: scene.facts()["tools"][0]["status"] == "ok")
            assert await scene.client("/mcp/s").names() == ["echo"]


async def test_where_approvals_are_not_known_a_blocking_server_offers_no_tools(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Rows:
        broken = True

        async def list(self, organization: str) -> list[Approval]:
            if self.broken:
                raise StoreError("away")
            return []

        async def add(self, *_: Any) -> None: ...

    rows, clock = Rows(), Clock()
    monkeypatch.setattr(mcp_servers, "make_link", lambda server: FakeLink([{"name": "x"}]))
    tables = [{"name": name, "url": f"https://{name}.test", "on_changed_tool": act} for name, act in
              (("strict", "block"), ("open", "flag"))]  # fmt: skip
    servers = McpServers(cast(McpToolRows, rows), "o", Breakers(clock), clock, Counter())
    asked = servers.apply(config_from_dict({"mcp": {"servers": tables}}))
    assert asked is not None
    await asked
    catalogue = servers.discovery.catalogue
    assert not catalogue["strict"].things("tools") and "not known" in catalogue["strict"].problem
    assert list(catalogue["open"].things("tools")) == ["x"]
    rows.broken = False
    await servers._load()
    assert list(servers.discovery.catalogue["strict"].things("tools")) == ["x"]
    await servers.close()


async def test_what_was_seen_first_is_known_after_a_restart(tmp_path: Path) -> None:
    async with McpServer(tools=("echo",)) as server:
        async with open_scene(tmp_path, server_toml("s", server.url)) as scene:
            assert await scene.client("/mcp/s").names() == ["echo"]
        server.tools[0] = tool("echo", title="another")
        async with open_scene(tmp_path, server_toml("s", server.url)) as scene:
            assert await scene.client("/mcp/s").names() == ["echo"]  # flagged only
            assert scene.facts()["tools"][0]["status"] == "changed"


async def test_a_change_that_a_process_tells_of_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "CALM_SECONDS", 0.01)
    async with McpServer() as other, open_scene(tmp_path, stdio_toml("s", "legacy")) as scene:
        asked = scene.servers.discovery
        assert await scene.client("/mcp/s").names() == ["echo"]
        before = asked._told["s"]
        link = scene.servers.links["s"]
        await link.ask(await asked.peer("s"), "tools/call", {"name": "change"})
        await until(lambda: asked._told["s"] is not before)
        assert other.url


async def test_a_new_price_does_not_restart_a_process(tmp_path: Path) -> None:
    async with open_scene(tmp_path, stdio_toml("s")) as scene:
        await scene.client("/mcp/s").names()
        link = scene.servers.links["s"]
        source = scene.served.gateway.config.source
        assert source is not None
        source.write_text(source.read_text() + 'price_per_call = "0.25"\n')
        await reload(scene.served.gateway, source)
        assert scene.servers.links["s"] is link
        assert (await scene.client("/mcp/s").call("echo")).status == 200
        assert scene.facts()["tools"][0]["price_usd"] == "0.25"


async def test_a_server_that_hangs_delays_nobody_and_is_left_alone(tmp_path: Path) -> None:
    quick = "timeouts = { lists = 0.05, connect = 1, silence = 0.05 }"
    async with McpServer() as good, McpServer() as hanging:
        hanging.silent = True
        tables = server_toml("good", good.url) + server_toml("hangs", hanging.url, quick)
        async with open_scene(tmp_path, tables) as scene:
            listed = (await scene.client("/mcp").ask("tools/list")).result
            assert listed["_meta"] == {"gateway-proxy/unavailable": ["hangs"]} and len(listed["tools"]) == 5
            for _ in range(5):
                await scene.servers.discovery.refresh()
            assert scene.facts("hangs")["state"] == "down" and scene.facts("good")["state"] == "up"
            before = len(hanging.headers)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(scene.servers.discovery.peer("hangs"), 0.5)
            assert len(hanging.headers) == before
            hanging.silent = False
            await scene.servers.discovery.refresh()
            assert scene.facts("hangs")["state"] == "up"
