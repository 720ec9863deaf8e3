"""MCP clients that share no code with the official Python SDK, in every era that they know, at servers over HTTP, SSE and stdio:
the official TypeScript one, and the AI SDK's own.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.in_process import Served, serve
from tests.support.mcp_sdk import make_server, serve_app
from tests.support.mcp_server import command_toml, server_toml
from tests.support.node import NODE, NODE_MODULES

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).resolve().parents[1] / "clients"
SERVERS = ["http", "sse", "stdio"]


@pytest.fixture(scope="module")
def tables() -> Iterator[str]:
    with serve_app(make_server().streamable_http_app()) as newer, serve_app(make_server().sse_app()) as older:
        yield (
            server_toml("http", f"{newer}/mcp")
            + server_toml("sse", f"{older}/sse")
            + command_toml("stdio", sys.executable, "-m", "tests.support.mcp_sdk")
        )


@pytest.fixture
async def served(tmp_path: Path, tables: str) -> AsyncIterator[Served]:
    async with serve(tmp_path, tables, mcp={"enabled": True}) as served:
        await served.gateway.mcp.servers.discovery.refresh(60)  # a process takes seconds to start
        yield served


async def run(script: str, served: Served) -> dict[str, Any]:
    """What the script tells of everything it did."""
    process = await asyncio.create_subprocess_exec(
        NODE, SCRIPTS / script, NODE_MODULES, f"http://127.0.0.1:{served.port}", served.secret, *SERVERS,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(120):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    told: dict[str, Any] = json.loads(out)
    return told


def everything(prefix: str, **more: Any) -> dict[str, Any]:
    """What a client is told of one of our servers."""
    return {
        "tools": [f"{prefix}add", f"{prefix}break_down", f"{prefix}count"],
        "sum": {"result": 5}, "broken": True, "counted": "counted", "unknown": -32602,
        "greeting": "Greet Ada.", "motto": "less is more", **more,
    }  # fmt: skip


async def test_the_official_typescript_client(served: Served) -> None:
    told = await run("use_mcp_typescript.mjs", served)
    for era in ("legacy", "modern", "auto"):
        for server in SERVERS:
            assert told.pop(f"{era} {server}") == everything("", progress=[1, 2, 3])
            assert told.pop(f"{era} all {server}") == everything(f"{server}__", progress=[1, 2, 3])
    assert told == {"legacy wrong key": 401, "modern wrong key": 401, "auto wrong key": 401}


async def test_the_ai_sdk(served: Served) -> None:
    told = await run("use_mcp_ai_sdk.mjs", served)
    for era, revision in (("legacy", "2025-11-25"), ("modern", "2026-07-28")):
        for server in SERVERS:
            assert told.pop(f"{era} {server}") == everything("", revision=revision)
            assert told.pop(f"{era} all {server}") == everything(f"{server}__", revision=revision)
    assert told == {"legacy wrong key": 401, "modern wrong key": 401}
