"""An MCP server for tests, of either era, over Streamable HTTP: it counts what reaches it and can be told to hang.

async with McpServer("modern") as server: server.url, server.calls
with serve_in_thread(McpServer("legacy")) as server: ...
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

MODERN, LEGACY = "2026-07-28", "2025-11-25"
WHOLE = {"content": [{"type": "text", "text": "whole"}]}


def tool(name: str, **schema: Any) -> dict[str, Any]:
    """A tool without arguments."""
    return {"name": name, "inputSchema": {"type": "object", **schema}}


class McpServer:
    """`calls` are the params of the tool calls that arrived, `headers` those of all requests; `gate` holds `wait` back."""

    def __init__(
        self, era: str = "modern", tools: tuple[str, ...] = ("echo", "fail", "wait", "tell", "ask")
    ) -> None:
        self.era = era
        self.tools = [tool(name) for name in tools]
        self.prompts = [{"name": "greet"}]
        self.resources = [{"uri": "test://a", "name": "a"}]
        self.calls: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.cancelled: list[Any] = []
        self.dropped = 0  # calls whose connection was closed while they ran
        self.running = 0
        self.sessions = 0
        self._known: set[str] = set()
        self.silent = False  # answers nothing at all
        self.url = ""

    async def __aenter__(self) -> "McpServer":
        self.gate = asyncio.Event()
        self.updates: asyncio.Queue[str] = asyncio.Queue()
        self.listeners: list[web.Request] = []
        app = web.Application()
        app.router.add_route("*", "/mcp", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/mcp"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def forget(self) -> None:
        """All sessions end."""
        self._known.clear()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(request.headers)
        if self.silent:
            await asyncio.sleep(3600)
        if request.method != "POST":
            return web.Response(status=405 if request.method == "GET" else 204)
        value = json.loads(await request.read())
        method, params = value["method"], value.get("params") or {}
        if method == "initialize" and self.era == "legacy":
            self.sessions += 1
            self._known.add(f"s{self.sessions}")
            result = {
                "protocolVersion": LEGACY,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "t", "version": "1"},
            }
            return _answer(value, result, {"Mcp-Session-Id": f"s{self.sessions}"})
        if "id" not in value:
            if method == "notifications/cancelled":
                self.cancelled.append(params.get("requestId"))
            return web.Response(status=202)
        if self.era == "legacy" and (session := request.headers.get("Mcp-Session-Id")) not in self._known:
            return web.json_response(_error(value, -32000, "no session"), status=404 if session else 400)
        if method == "server/discover" and self.era == "modern":
            return _answer(
                value,
                {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "resultType": "complete"},
            )
        if method == "tools/call":
            return await self._call(request, value, params)
        if method == "subscriptions/listen" and self.era == "modern":
            return await self._listen(request, value, params)
        return self._answer_other(value, method, params)

    def _answer_other(self, value: dict[str, Any], method: str, params: dict[str, Any]) -> web.Response:
        extra = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"} if self.era == "modern" else {}
        lists = {
            "tools/list": ("tools", self.tools),
            "prompts/list": ("prompts", self.prompts),
            "resources/list": ("resources", self.resources),
            "resources/templates/list": ("resourceTemplates", []),
        }
        if method in lists:
            member, items = lists[method]
            return _answer(value, {member: items, **extra})
        if method == "prompts/get":
            content = {"type": "text", "text": params["name"]}
            return _answer(value, {"messages": [{"role": "user", "content": content}], **extra})
        if method == "resources/read":
            return _answer(value, {"contents": [{"uri": params["uri"], "text": "x"}], **extra})
        return web.json_response(_error(value, -32601, "Method not found"), status=404 if extra else 200)

    async def _call(
        self, request: web.Request, value: dict[str, Any], params: dict[str, Any]
    ) -> web.StreamResponse:
        self.calls.append(params)
        name = params["name"]
        extra = {"resultType": "complete"} if self.era == "modern" else {}
        if name == "fail":
            return _answer(value, {"content": [{"type": "text", "text": "no"}], "isError": True, **extra})
        if name == "refuse":
            return web.json_response(
                _error(value, params.get("arguments", {}).get("code", -32602), "bad arguments")
            )
        if name == "ask":
            return _answer(value, {"resultType": "input_required", "inputRequests": {}, "requestState": "s"})
        if name == "tell":
            return await self._tell(request, value, params, extra)
        if name == "wait":
            self.running += 1
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.dropped += 1
                raise
            finally:
                self.running -= 1
        text = json.dumps(params.get("arguments", {}))
        return _answer(value, {"content": [{"type": "text", "text": text}], **extra})

    async def _listen(
        self, request: web.Request, value: dict[str, Any], params: dict[str, Any]
    ) -> web.StreamResponse:
        """What `updates` is given, until the client leaves."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        told = {"notifications": params["notifications"]}
        method = "notifications/subscriptions/acknowledged"
        while True:
            message = {"jsonrpc": "2.0", "method": method, "params": told}
            await response.write(f"event: message\ndata: {json.dumps(message)}\n\n".encode())
            self.listeners.append(request)
            try:
                told = {"uri": await self.updates.get()}
            finally:
                self.listeners.clear()
            method = "notifications/resources/updated"

    async def _tell(
        self, request: web.Request, value: dict[str, Any], params: dict[str, Any], extra: dict[str, Any]
    ) -> web.StreamResponse:
        """Progress first, then the result, as events."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        token = params.get("_meta", {}).get("progressToken", 0)
        told = {
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": {"progressToken": token, "progress": 1},
        }
        for message in (told, {"jsonrpc": "2.0", "id": value["id"], "result": {**WHOLE, **extra}}):
            await response.write(f"event: message\ndata: {json.dumps(message)}\n\n".encode())
        return response


def _answer(
    value: dict[str, Any], result: dict[str, Any], headers: dict[str, str] | None = None
) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": value["id"], "result": result}, headers=headers)


def _error(value: dict[str, Any], code: Any, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": value["id"], "error": {"code": code, "message": message}}


@contextlib.contextmanager
def serve_in_thread(*servers: McpServer) -> Iterator[tuple[McpServer, ...]]:
    """The servers in a loop of their own, for tests that have none."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait(10)
    try:
        yield servers
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def server_toml(name: str, url: str, extra: str = "") -> str:
    """A table [[mcp.servers]]."""
    return f'[[mcp.servers]]\nname = "{name}"\nurl = "{url}"\nallow_private = true\n{extra}\n'


def command_toml(name: str, *words: str | Path) -> str:
    """A table [[mcp.servers]] of a process, which runs in the checkout."""
    quoted = ", ".join(f'"{word}"' for word in words)
    root = Path(__file__).parents[2]
    return f'[[mcp.servers]]\nname = "{name}"\ncommand = [{quoted}]\ncwd = "{root}"\n'
