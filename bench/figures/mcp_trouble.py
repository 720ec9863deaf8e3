"""MCP servers in trouble, and many calls at once: who waits how long, and what is left behind.

The gateway, the clients and the servers share one event loop, but for the server that is killed: so everything that
anyone of them leaves behind is found, and the times are those of all of them together.
"""

import asyncio
import os
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from bench.figure import ROOT, Figure
from bench.load import percentile
from bench.processes import process_tree
from tests.support.in_process import Served, serve
from tests.support.mcp_client import McpClient
from tests.support.mcp_server import McpServer, server_toml
from tests.support.waiting import until

MAX_LIST_SECONDS = 2.5
MAX_RECOVERY_SECONDS = 5.0
CALLS_AT_ONCE = 1000
SHORT_CALLS_AT_ONCE = 200
DOWN_SECONDS = 1.0
_KEY = {"enabled": True, "access_mode": "allow_all"}


def run(short: bool) -> list[Figure]:
    """The long form takes all figures five times, in a minute; the worst of each counts."""
    times, calls = (1, SHORT_CALLS_AT_ONCE) if short else (5, CALLS_AT_ONCE)
    measured = [asyncio.run(_measure(calls)) for _ in range(times)]
    return [
        Figure(name=name, bound=bound, measured=worst, unit=unit, passed=bound is None or worst <= bound)
        for name, (_, bound, unit) in measured[0].items()
        for worst in [(min if unit == "1/s" else max)(found[name][0] for found in measured)]
    ]


Found = dict[str, tuple[float, float | None, str]]
"""Name: measured, bound, unit."""


async def _measure(calls: int) -> Found:
    found: Found = {}
    before = _count_left()
    many_calls = partial(_many_calls, calls=calls)
    for part in (_list_of_six, many_calls, _client_leaves, _server_killed):
        with tempfile.TemporaryDirectory() as folder:
            found |= await part(Path(folder))
    with suppress(AssertionError):
        await until(lambda: _count_left() == before, 10)
    return found | {
        f"{what} left by all of it": (count - before[what], 0, what) for what, count in _count_left().items()
    }


async def _list_of_six(folder: Path) -> Found:
    async with AsyncExitStack() as stack:
        servers: dict[str, Any] = {
            name: await stack.enter_async_context(McpServer("legacy" if name == "b" else "modern"))
            for name in ("a", "b", "c", "hangs", "lies")
        }
        servers["hangs"].silent = True
        servers["lies"].tools = "none of your business"
        tables = "".join(server_toml(name, server.url) for name, server in servers.items())
        tables += server_toml("gone", "http://127.0.0.1:9/mcp")
        served = await stack.enter_async_context(serve(folder, tables, mcp=_KEY))
        client = await stack.enter_async_context(_client(served, "/mcp"))
        begun = time.monotonic()
        listed = (await client.ask("tools/list")).result
        first = time.monotonic() - begun
        begun = time.monotonic()
        await client.ask("tools/list")
        second = time.monotonic() - begun
    missing = {"a", "b", "c"} - {tool["name"].partition("__")[0] for tool in listed["tools"]}
    return {
        "first list of 6 servers, of which one hangs, one lies and one is gone": (round(first, 3), MAX_LIST_SECONDS, "s"),
        "the next list": (round(second * 1000, 2), None, "ms"),
        "healthy servers that the list lacks": (len(missing), 0, "servers"),
    }  # fmt: skip


async def _many_calls(folder: Path, calls: int) -> Found:
    async with McpServer() as server:
        table = server_toml("new", server.url, "timeouts = { connect = 30 }")
        async with serve(folder, table, mcp=_KEY) as served:
            async with _client(served, "/mcp/new") as client:
                await client.call("echo")
                begun = time.monotonic()
                took = await asyncio.gather(*(_time_call(client, begun) for _ in range(calls)))
                whole = time.monotonic() - begun
    answered = sorted(seconds * 1000 for seconds in took if seconds)
    at_once = f"{calls:,} calls at once"
    return {
        f"{at_once}, on new connections": (round(len(answered) / whole), None, "1/s"),
        f"{at_once}, p99": (round(percentile(answered, 99)), None, "ms"),
        f"{at_once}, not answered": (calls - len(answered), 0, "calls"),
    }


async def _time_call(client: McpClient, begun: float) -> float:
    """Seconds since all began; 0 if it was not answered with a result."""
    told = await client.call("echo")
    return time.monotonic() - begun if told.status == 200 and "result" in told.value else 0.0


async def _client_leaves(folder: Path) -> Found:
    async with McpServer() as server, serve(folder, server_toml("new", server.url), mcp=_KEY) as served:
        async with _client(served, "/mcp/new") as client:
            call = asyncio.ensure_future(client.call("wait"))
            await until(lambda: server.running == 1)
            call.cancel()
            took = await until(lambda: server.dropped == 1)
            await asyncio.wait((call,))
            await until(lambda: not served.gateway.plane.sweeper.runs)
    return {"a client leaves: until the server's call is cancelled": (round(took * 1000, 1), None, "ms")}


async def _server_killed(folder: Path) -> Found:
    process, url = await start_upstream(0)
    try:
        async with serve(folder, server_toml("new", url), mcp=_KEY) as served:
            async with _client(served, "/mcp/new") as client:
                call = asyncio.ensure_future(client.call("wait"))
                await until(lambda: len(served.gateway.plane.sweeper.runs) == 1)
                await asyncio.sleep(0.1)  # on its way to the server
                process.kill()
                begun = time.monotonic()
                told = await call
                failed = time.monotonic() - begun
                await process.wait()
                await asyncio.sleep(DOWN_SECONDS)
                process, _ = await start_upstream(int(url.split(":")[2].split("/")[0]))
                begun = time.monotonic()
                while (await client.call("echo")).status != 200:
                    await asyncio.sleep(0.02)
                back = time.monotonic() - begun
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return {
        "a server is killed: until its call has failed": (round(failed * 1000, 1), None, "ms"),
        "a server is killed: calls that were answered all the same": (int(told.status == 200), 0, "calls"),
        "it is back: until it is called again": (round(back, 3), MAX_RECOVERY_SECONDS, "s"),
    }


async def start_upstream(port: int) -> tuple[Process, str]:
    """A server process and its URL; at any free port with 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.mcp_upstream", str(port), cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    return process, (await process.stdout.readline()).decode().strip()


@asynccontextmanager
async def _client(served: Served, path: str) -> AsyncIterator[McpClient]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        yield McpClient(http, f"http://127.0.0.1:{served.port}{path}", served.secret)


def _count_left() -> dict[str, int]:
    """What there is now, of this process and below."""
    return {
        "tasks": len(asyncio.all_tasks()),
        "sockets": _count_sockets(),
        "processes": len(process_tree(os.getpid())),
    }


def _count_sockets() -> int:
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += os.readlink(entry).startswith("socket:")
        except OSError:  # that of the listing itself
            continue
    return count
