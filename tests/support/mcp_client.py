"""A raw MCP client of either era: what is sent is what stands here, so that a test can also send what no SDK would."""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import aiohttp

MODERN = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}
_ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class Told(NamedTuple):
    """An HTTP answer: the response is the last message; `before` are those that came ahead of it."""

    status: int
    headers: Mapping[str, str]
    value: Any
    before: list[dict[str, Any]]

    @property
    def result(self) -> dict[str, Any]:
        assert "result" in self.value, self.value
        found: dict[str, Any] = self.value["result"]
        return found

    @property
    def error(self) -> tuple[int, int]:
        """(status, code)."""
        assert "error" in self.value, self.value
        return self.status, self.value["error"]["code"]


class McpClient:
    """`url` is that of the endpoint."""

    def __init__(self, http: aiohttp.ClientSession, url: str, secret: str) -> None:
        self.url = url
        self._http = http
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._id = 0

    async def send(self, body: Any, headers: Mapping[str, str] | None = None, method: str = "POST") -> Told:
        """Exactly this."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self._http.request(
            method, self.url, data=data, headers={**_ACCEPT, **self._headers, **(headers or {})}
        ) as response:
            text = await response.text()
            if response.content_type == "text/event-stream":
                messages = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
                return Told(
                    response.status, response.headers, messages[-1] if messages else None, messages[:-1]
                )
            return Told(response.status, response.headers, json.loads(text) if text else None, [])

    def open(
        self, method: str, body: bytes | None, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """For an answer that is read while it comes."""
        return self._http.request(
            method, self.url, data=body, headers={**_ACCEPT, **self._headers, **headers}
        )

    def modern(self, method: str, **params: Any) -> tuple[dict[str, Any], dict[str, str]]:
        """(body, headers) of a request of the modern era."""
        self._id += 1
        params["_meta"] = {**_META, **params.get("_meta", {})}
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if (named := _NAMED.get(method)) is not None:
            headers["Mcp-Name"] = params[named]
        return {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}, headers

    async def ask(self, method: str, **params: Any) -> Told:
        """A request of the modern era."""
        return await self.send(*self.modern(method, **params))

    async def call(self, name: str, **arguments: Any) -> Told:
        return await self.ask("tools/call", name=name, arguments=arguments)

    async def names(self, kind: str = "tools") -> list[str]:
        """The names that are listed."""
        return [item["name"] for item in (await self.ask(f"{kind}/list")).result[kind]]


class LegacyClient(McpClient):
    """One with a session, of a legacy revision."""

    session_id = ""
    version = "2025-11-25"

    async def initialize(self, version: str = "2025-11-25") -> Told:
        params = {
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        }
        told = await self.send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        self.session_id = told.headers["Mcp-Session-Id"]
        self.version = told.result["protocolVersion"]
        return told

    @property
    def session(self) -> dict[str, str]:
        return {"Mcp-Session-Id": self.session_id, "MCP-Protocol-Version": self.version}

    async def ask(self, method: str, **params: Any) -> Told:
        self._id += 1
        value = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        return await self.send(value, self.session)

    async def notify(self, method: str, **params: Any) -> Told:
        return await self.send({"jsonrpc": "2.0", "method": method, "params": params}, self.session)
