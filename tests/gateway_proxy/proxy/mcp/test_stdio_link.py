"""The link to a server that is a process: real ones, of both eras and of bad habits."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import drain
from gateway_proxy.mcp.versions import MODERN
from gateway_proxy.proxy.mcp import stdio_link
from gateway_proxy.proxy.mcp.child import Command
from gateway_proxy.proxy.mcp.link import Peer, SessionEnded
from gateway_proxy.proxy.mcp.stdio_link import StdioLink

SCRIPT = Path(__file__).parents[3] / "support" / "mcp_stdio.py"

Start = Callable[..., StdioLink]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    links: list[StdioLink] = []

    def make(*habits: str, words: tuple[str, ...] = (), **members: Any) -> StdioLink:
        seconds = members.pop("silence_seconds", 5)
        command = Command("s", words or (sys.executable, "-S", str(SCRIPT), *habits), **members)
        links.append(StdioLink(command, start_seconds=5, silence_seconds=seconds))
        return links[-1]

    yield make
    for link in links:
        await link.close()
    await drain(2)


async def call(link: StdioLink, peer: Peer, name: str, **params: Any) -> dict[str, Any]:
    answer = await link.ask(peer, "tools/call", {"name": name, **params})
    return answer.outcome or {}


def shown(outcome: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(outcome["result"]["content"][0]["text"])
    return told


def child_of(link: StdioLink) -> int:
    assert link._child is not None
    return link._child.pid


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("habit", "version"), [("modern", MODERN), ("legacy", "2025-11-25"), ("", MODERN)])
async def test_the_era_is_found_and_calls_are_answered(start: Start, habit: str, version: str) -> None:
    link = start(habit)
    peers = await asyncio.gather(link.connect(), link.connect())  # one process for both
    assert peers[0] is peers[1] and peers[0].version == version and "tools" in peers[0].capabilities
    outcome = await call(link, peers[0], "echo", arguments={"a": 1})
    told = shown(outcome)
    assert told["arguments"] == {"a": 1} and (told["meta"] is not None) is (version == MODERN)


async def test_the_command_gets_its_own_environment_and_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_PEPPER", "canary")
    link = start(environment={"TOKEN": Secret("t0ken")})
    told = shown(await call(link, await link.connect(), "echo"))
    assert told["env"]["TOKEN"] == "t0ken" and "GATEWAY_PEPPER" not in told["env"]


async def test_progress_belongs_to_whoever_asked(start: Start) -> None:
    link = start()
    peer = await link.connect()

    async def listen(token: str) -> list[Any]:
        params = {"name": "progress", "_meta": {"progressToken": token}}
        async with link.exchange(peer, "tools/call", params) as exchange:
            return [message.params async for message in exchange.messages()]

    seen = await asyncio.gather(*(listen("same") for _ in range(5)))
    assert seen == [[{"progressToken": "same", "progress": 1}, None]] * 5  # and nothing that was for all


async def test_what_is_too_long_ends_only_its_own_call(start: Start) -> None:
    link = start(max_bytes=4096)
    peer = await link.connect()
    with pytest.raises(UpstreamFailed):
        await call(link, peer, "long")
    assert await call(link, peer, "change") == {"result": {"content": []}}


async def test_a_call_without_answer_ends_and_is_cancelled(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway_proxy.mcp")
    link = start(silence_seconds=0.05)
    peer = await link.connect()
    with pytest.raises(UpstreamFailed) as caught:
        await call(link, peer, "hang")
    assert caught.value.code == "upstream_timeout"
    await link.close()
    assert '"method": "notifications/cancelled", "params": {"requestId": 2}' in caplog.text


async def test_what_the_server_asks_is_answered_or_declined(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway_proxy.mcp")
    link = start("asks", "noise")
    await call(link, await link.connect(), "echo")
    await link.close()
    assert '{"jsonrpc": "2.0", "id": "p", "result": {}}' in caplog.text
    assert '"id": "s", "error": {"code": -32601' in caplog.text
    assert "writes what is no message" in caplog.text


async def test_errors_are_logged_without_secrets(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway_proxy.mcp")
    link = start(environment={"TOKEN": Secret("t0ken-canary")})
    await call(link, await link.connect(), "log")
    await link.close()
    assert "s: the token is ***" in caplog.text and "canary" not in caplog.text


async def test_one_that_dies_in_a_call_is_started_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_link, "FIRST_PAUSE_SECONDS", 0.05)
    link = start()
    peer = await link.connect()
    changes = link.changes(peer)
    with pytest.raises(UpstreamFailed) as caught:
        await call(link, peer, "crash")
    assert caught.value.code == "upstream_broken"
    with pytest.raises(UpstreamFailed):
        await anext(changes)
    with pytest.raises(SessionEnded):
        await call(link, peer, "echo")
    again = await link.connect()
    assert again.session_id != peer.session_id and "result" in await call(link, again, "echo")


async def test_a_crash_loop_is_left_alone_for_longer_each_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_link, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(stdio_link, "WORTH_WAITING_SECONDS", 0.06)
    link = start(words=(sys.executable, "-S", "-c", "raise SystemExit(5)"))
    codes = []
    for _ in range(2):
        with pytest.raises(UpstreamFailed) as caught:
            await link.connect()
        codes.append(caught.value.code)
    assert codes == ["upstream_broken", "upstream_unavailable"] and caught.value.retry_after_ms


async def test_a_command_that_is_not_there(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway_proxy.mcp")
    with pytest.raises(UpstreamFailed) as caught:
        await start(words=("no-such-program",)).connect()
    assert caught.value.code == "upstream_unavailable" and "cannot start no-such-program" in caplog.text


async def test_nothing_is_left_after_closing(start: Start) -> None:
    link = start("fork")
    await link.connect()
    group = child_of(link)
    left = [pid for pid in processes() if group in lineage(pid)]
    assert len(left) >= 3  # the supervisor, the server, and what it left in a session of its own
    await link.close()
    assert not [pid for pid in left if exists(pid)]
    with pytest.raises(UpstreamFailed):
        await link.connect()


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def lineage(pid: int) -> list[int]:
    """The process and those it came from."""
    line = []
    while pid > 1:
        line.append(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return line
