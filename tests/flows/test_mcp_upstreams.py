"""Servers that others have written, behind a gateway: the official SDK's over stdio and over the older HTTP+SSE, and published ones
as processes. The official client in front.
"""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from gateway_proxy.app.inside import Inside
from tests.support.gateway import RunningGateway
from tests.support.in_process import Served, serve
from tests.support.mcp_sdk import make_server, open_client, serve_app
from tests.support.mcp_server import command_toml, server_toml

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PUBLISHED = Path(sys.prefix) / "clients" / "bin"
MODES = ["legacy", "2026-07-28"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    who = {
        f"GIT_{role}_{what}": "ada@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "The first one"]):
        subprocess.run(["git", *words], cwd=folder, check=True, env={**os.environ, **who})
    return folder


@pytest.fixture(scope="module")
def server_tables(repository: Path) -> str:
    return (
        command_toml("sdk", sys.executable, "-m", "tests.support.mcp_sdk")
        + command_toml("time", PUBLISHED / "mcp-server-time", "--local-timezone", "UTC")
        + command_toml("git", PUBLISHED / "mcp-server-git", "--repository", repository)
    )


@pytest.fixture
async def served(tmp_path: Path, server_tables: str) -> AsyncIterator[Served]:
    async with serve(tmp_path, server_tables, mcp={"enabled": True}) as served:
        discovery = served.gateway.mcp.servers.discovery
        await discovery.refresh(60)  # these take seconds to start
        yield served


def into(progress: list[float]) -> Callable[[float, float | None, str | None], Awaitable[None]]:
    async def note(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)

    return note


async def test_published_servers_and_the_sdks_own_as_processes(served: Served, repository: Path) -> None:
    for mode in MODES:
        async with open_client(f"http://127.0.0.1:{served.port}/mcp", served.secret, mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert {"sdk__add", "time__get_current_time", "time__convert_time", "git__git_log"} <= set(names)
            assert (await client.call_tool("sdk__add", {"a": 2, "b": 3})).structured_content == {"result": 5}
            told = await client.call_tool("time__get_current_time", {"timezone": "Europe/Berlin"})
            assert "Europe/Berlin" in str(told.content)
            told = await client.call_tool("git__git_log", {"repo_path": str(repository)})
            assert "The first one" in str(told.content)
            assert (await client.call_tool("git__git_log", {"repo_path": "/nowhere"})).is_error
            progress: list[float] = []
            await client.call_tool("sdk__count", {"to": 2}, progress_callback=into(progress))
            assert progress == [1, 2]
    facts = {server["name"]: server for server in Inside(served.gateway).answer("mcp_servers")}
    assert facts["sdk"]["protocol_version"] == "2026-07-28" and facts["time"]["protocol_version"]
    assert all(server["state"] == "up" and not server["failures"] for server in facts.values())
    pids = [link.link._child.pid for link in served.gateway.mcp.servers.links.values()]  # type: ignore[attr-defined]
    await served.gateway.mcp.servers.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("mode", MODES)
async def test_a_server_of_the_older_transport(tmp_path: Path, mode: str) -> None:
    with serve_app(make_server().sse_app()) as origin:
        async with serve(tmp_path, server_toml("old", f"{origin}/sse"), mcp={"enabled": True}) as served:
            async with open_client(f"http://127.0.0.1:{served.port}/mcp/old", served.secret, mode) as client:
                assert "add" in [tool.name for tool in (await client.list_tools()).tools]
                assert (await client.call_tool("add", {"a": 2, "b": 3})).structured_content == {"result": 5}
                assert "Ada" in str(await client.get_prompt("greet", {"name": "Ada"}))


def descendants(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in thread.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def test_a_gateway_that_is_killed_leaves_no_server_behind() -> None:
    script = ROOT / "tests" / "support" / "mcp_stdio.py"
    tables = command_toml("stubborn", sys.executable, "-S", script, "fork", "stubborn")
    with RunningGateway(tables) as gateway:
        secret = gateway.create_key("agent", mcp={"enabled": True}).secret
        listed = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json, text/event-stream"}
        opened = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        with httpx2.Client(headers=headers, timeout=10) as http:
            url = f"{gateway.origin}/mcp/stubborn"
            answer = http.post(url, json={**listed, "method": "initialize", "params": opened})
            session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
            assert "echo" in http.post(url, json=listed, headers=session).text
        servers = [
            pid
            for pid in descendants(gateway.pid)
            if b"mcp_stdio" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert len(servers) == 2  # the supervisor, whose words hold it too, and the server
        everything = [pid for server in servers for pid in (server, *descendants(server))]
        assert len(set(everything)) == 3  # and what that left behind in a session of its own
        gateway.kill()
        ends_at = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in everything) and time.monotonic() < ends_at:
            time.sleep(0.05)
        assert not [pid for pid in everything if Path(f"/proc/{pid}").exists()]
