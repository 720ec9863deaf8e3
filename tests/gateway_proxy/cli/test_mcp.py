"""`mcp`: servers, their tools, approval and log, as the admin API of a running gateway tells them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway_proxy.cli import mcp
from tests.gateway_proxy.cli.conftest import Cli

TOOLS = [
    {"name": "search", "title": "Search", "status": "ok", "price_usd": "0.01", "fingerprint": "aa"},
    {"name": "merge", "title": None, "status": "blocked", "price_usd": "0.00", "fingerprint": "bb"},
]
SERVER = {
    "name": "github", "state": "up", "protocol_version": "2026-07-28", "tools": TOOLS, "tools_left_out": 0, "calls": 7,
    "failures": 2, "problem": None, "last_error": "it broke off",
}  # fmt: skip
ROW = {
    "at": "2026-11-23T12:34:56Z", "status": "denied", "key_name": "alpha", "method": "tools/call", "server": "github",
    "tool": "merge", "rule": "tools", "cost_usd": "0.00", "duration_ms": 3, "request_id": "req_1",
}  # fmt: skip


class FakeApi:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str, object, Any]] = []

    async def send(self, method: str, path: str, document: object = None, *, query: Any = None) -> Any:
        self.sent.append((method, path, document, query))
        if path == "/mcp/logs":
            return {"data": [ROW], "next_cursor": None}
        return {"data": [SERVER], "next_cursor": None} if path == "/mcp/servers" else SERVER


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()

    @asynccontextmanager
    async def open_fake(target: object) -> AsyncIterator[FakeApi]:
        yield fake

    monkeypatch.setattr(mcp, "open_api", open_fake)
    monkeypatch.setenv("GATEWAY_PROXY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("GATEWAY_PROXY_TOKEN", "gwa_none")
    return fake


def test_servers_and_their_tools(cli: Cli, api: FakeApi) -> None:
    header, row = cli("mcp", "servers").out.splitlines()
    assert header.startswith("NAME") and row.split()[:7] == ["github", "up", "2026-07-28", "2", "1", "7", "2"]
    assert row.endswith("it broke off")
    assert cli("mcp", "servers", "--json").json["data"] == [SERVER]
    assert [line.split()[:2] for line in cli("mcp", "servers", "github").out.splitlines()[1:]] == [
        ["search", "ok"],
        ["merge", "blocked"],
    ]


def test_a_changed_tool_is_approved_as_it_was_shown(cli: Cli, api: FakeApi) -> None:
    assert cli("mcp", "approve", "github", "merge").out == "Approved merge of github as it is now.\n"
    assert api.sent[-1][:3] == (
        "POST",
        "/mcp/servers/github/approve",
        {"tool": "merge", "fingerprint": "bb"},
    )
    refused = cli("mcp", "approve", "github", "search")
    assert refused.code == 1 and "no tool 'search' waits to be approved at github" in refused.err


def test_the_log(cli: Cli, api: FakeApi) -> None:
    shown = cli("mcp", "logs", "--failures", "--server", "github")
    assert shown.out == (
        "2026-11-23 12:34  denied  alpha  tools/call  github  merge  by tools  0.00 USD  3 ms  req_1\n"
    )
    query = api.sent[-1][3]
    assert (query["status"], query["server"], query["limit"]) == ("failures", "github", 50)
    assert cli("mcp", "logs", "--json").json["data"] == [ROW]


def test_the_local_store_has_the_log_and_no_servers(cli: Cli, made: dict[str, Any]) -> None:
    assert cli("mcp", "logs").out == "No MCP calls.\n"
    for asked in (cli("mcp", "servers"), cli("mcp", "approve", "github", "merge")):
        assert asked.code == 1 and "--url" in asked.err and len(asked.err.splitlines()) == 1
