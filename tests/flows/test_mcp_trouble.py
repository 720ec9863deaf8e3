"""MCP servers in trouble, and many calls at once: nobody waits for the wrong one, and nothing is left behind."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.figures.mcp_trouble import start_upstream
from gateway_proxy.core.tasks import running
from tests.support.in_process import Served, serve
from tests.support.mcp_client import McpClient
from tests.support.mcp_server import McpServer, server_toml
from tests.support.waiting import until

pytestmark = pytest.mark.slow
EVERYTHING = {"enabled": True, "access_mode": "allow_all"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        yield http


def client_of(served: Served, http: aiohttp.ClientSession, path: str = "/mcp") -> McpClient:
    return McpClient(http, f"http://127.0.0.1:{served.port}{path}", served.secret)


def count_tasks() -> int:
    """All but those of connections that the servers keep alive."""
    return sum("RequestHandler" not in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_of_six_servers_one_hangs_one_lies_one_is_gone(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with AsyncExitStack() as stack:
        names = ["a", "b", "c", "hangs", "lies"]
        servers = {
            name: await stack.enter_async_context(McpServer("legacy" if name == "b" else "modern"))
            for name in names
        }
        servers["hangs"].silent = True
        liar: Any = servers["lies"]
        liar.tools = "none of your business"
        tables = "".join(server_toml(name, server.url) for name, server in servers.items())
        tables += server_toml("gone", "http://127.0.0.1:9/mcp")
        served = await stack.enter_async_context(serve(tmp_path, tables, mcp=EVERYTHING))
        client = client_of(served, http)
        began = time.monotonic()
        listed = (await client.ask("tools/list")).result
        assert time.monotonic() - began < 2.5
        assert {tool["name"].partition("__")[0] for tool in listed["tools"]} == {"a", "b", "c"}
        assert listed["_meta"]["gateway-proxy/unavailable"] == ["gone", "hangs", "lies"]
        began = time.monotonic()
        assert (await client.ask("tools/list")).result["tools"] == listed["tools"]
        assert (await client.call("b__echo")).status == 200
        assert time.monotonic() - began < 0.5, "only the first list waits"
        assert (await client.call("hangs__echo")).error == (200, -32602)


async def test_a_thousand_calls_at_once_and_nothing_is_left(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with (
        McpServer() as server,
        # Gateway, server and clients share one loop: on a busy machine a connection waits for its turn.
        serve(
            tmp_path, server_toml("new", server.url, "timeouts = { connect = 30 }"), mcp=EVERYTHING
        ) as served,
    ):
        client = client_of(served, http, "/mcp/new")
        await client.call("echo")
        tasks, before = running(), count_tasks()
        waiting = [asyncio.ensure_future(client.call("wait", n=number)) for number in range(1000)]
        async with asyncio.timeout(30):
            while server.running < 1000:
                await asyncio.sleep(0.05)
                assert not [task.result() for task in waiting if task.done()]
        assert len(served.gateway.plane.sweeper.runs) == 1000
        for task in waiting[:500]:
            task.cancel()
        async with asyncio.timeout(30):
            while server.dropped < 500:
                await asyncio.sleep(0.05)
        server.gate.set()
        told = await asyncio.gather(*waiting[500:])
        assert [answer.status for answer in told] == [200] * 500
        texts = sorted(answer.result["content"][0]["text"] for answer in told)
        assert texts == sorted(f'{{"n": {number}}}' for number in range(500, 1000))
        await until(lambda: not served.gateway.plane.sweeper.runs and running() <= tasks)
        await served.gateway.writer.flush()
        rows = await served.gateway.store.db.fetch(
            "SELECT outcome, COUNT(*) FROM ledger GROUP BY outcome ORDER BY 1"
        )
        assert [tuple(row) for row in rows] == [("client_gone", 500), ("completed", 501)]
        assert not +served.gateway.mcp.calls.in_use
        await http.close()
        await until(lambda: count_tasks() <= before)


async def test_a_server_that_is_killed_is_noticed_and_found_again(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Well before the next refresh, which comes once a minute."""
    process, url = await start_upstream(0)
    try:
        async with serve(tmp_path, server_toml("new", url), mcp=EVERYTHING) as served:
            offers, client = served.gateway.mcp.servers.discovery, client_of(served, http, "/mcp/new")
            assert (await client.call("echo")).status == 200
            process.kill()
            await process.wait()
            assert (await client.call("echo")).status in (502, 503)
            await until(lambda: offers.catalogue["new"].problem, what="nobody noticed")
            process, _ = await start_upstream(int(url.split(":")[2].split("/")[0]))
            await until(lambda: not offers.catalogue["new"].problem, what="it is not found again")
            assert (await client.call("echo")).status == 200
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_server_that_dies_in_the_middle_of_a_call(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """It takes the call, says half of an answer, and is gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    port = listener.getsockname()[1]
    async with McpServer() as server:
        real_port = int(server.url.split(":")[2].split("/")[0])
        halves: list[bytes] = [
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"
        ]

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"tools/call" in head:
                writer.write(halves[0])
                await writer.drain()
                writer.transport.abort()
                return
            up, down = await asyncio.open_connection("127.0.0.1", real_port)
            down.write(head.replace(b"Connection: keep-alive", b"Connection: close"))
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            down.write(await reader.readexactly(length))
            writer.write(
                (await up.readuntil(b"\r\n\r\n")).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            )
            while data := await asyncio.wait_for(up.read(65536), 0.2) if not up.at_eof() else b"":
                writer.write(data)
                break
            writer.close()
            down.close()

        async with await asyncio.start_server(pass_on, sock=listener):
            tables = server_toml("new", f"http://127.0.0.1:{port}/mcp", 'price_per_call = "0.01"')
            async with serve(tmp_path, tables, mcp=EVERYTHING, budget_usd="1") as served:
                told = await client_of(served, http, "/mcp/new").call("echo")
                assert told.error == (502, 502) and told.value["error"]["data"]["code"] == "upstream_broken"
                await served.gateway.writer.flush()
                rows = await served.gateway.store.db.fetch(
                    "SELECT outcome, usage_source, charged_nanos FROM ledger"
                )
                assert [tuple(row) for row in rows] == [("upstream_failed", "estimated", 10_000_000)]
    gc.collect()
