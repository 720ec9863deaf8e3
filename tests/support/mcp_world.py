"""A gateway in the test's own loop with two MCP servers, `new` of the modern era and `old` of the legacy one."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from gateway_proxy.keys.service import Caller, KeyService
from tests.support.in_process import Served, serve
from tests.support.mcp_client import LegacyClient, McpClient
from tests.support.mcp_server import McpServer, server_toml

EVERYTHING = {"enabled": True, "access_mode": "allow_all"}


class World:
    """`served.secret` is a key that may use both servers."""

    def __init__(self, served: Served, new: McpServer, old: McpServer, http: aiohttp.ClientSession) -> None:
        self.served, self.new, self.old, self.http = served, new, old, http

    def client(self, path: str = "/mcp/new", secret: str | None = None) -> McpClient:
        return McpClient(self.http, f"http://127.0.0.1:{self.served.port}{path}", self._secret(secret))

    async def legacy(self, path: str = "/mcp/new", secret: str | None = None) -> LegacyClient:
        client = LegacyClient(self.http, f"http://127.0.0.1:{self.served.port}{path}", self._secret(secret))
        await client.initialize()
        return client

    def _secret(self, secret: str | None) -> str:
        return self.served.secret if secret is None else secret

    async def key(self, **members: Any) -> tuple[str, str]:
        """(id, secret) of another key, as soon as it is live."""
        gateway = self.served.gateway
        service = KeyService(gateway.store.keys, gateway.clock, gateway._pepper)
        made = await service.create(
            {"name": "other", "mcp": EVERYTHING, **members}, Caller("tests"), organization="default"
        )
        await gateway.follower.reach(made.sequence or 0)
        assert made.secret is not None
        return made.key.id, made.secret

    async def edit(self, key_id: str, **members: Any) -> None:
        gateway = self.served.gateway
        service = KeyService(gateway.store.keys, gateway.clock, gateway._pepper)
        changed = await service.update(key_id, members, Caller("tests"))
        await gateway.follower.reach(changed.sequence or 0)

    async def rows(self, sql: str) -> list[Any]:
        await self.served.gateway.writer.flush()
        return await self.served.gateway.store.db.fetch(sql)

    async def revoke(self, key_id: str) -> None:
        gateway = self.served.gateway
        await KeyService(gateway.store.keys, gateway.clock, gateway._pepper).revoke(key_id, Caller("tests"))


@contextlib.asynccontextmanager
async def open_world(folder: Path, extra: str = "") -> AsyncIterator[World]:
    """`extra`: further tables of the settings."""
    async with contextlib.AsyncExitStack() as stack:
        new = await stack.enter_async_context(McpServer("modern"))
        old = await stack.enter_async_context(McpServer("legacy"))
        tables = extra + server_toml(
            "new", new.url, 'price_per_call = "0.01"\ntool_prices = { tell = "0.5" }'
        )
        tables += server_toml("old", old.url)
        served = await stack.enter_async_context(serve(folder, tables, mcp=EVERYTHING))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        try:
            yield World(served, new, old, http)
        finally:
            new.gate.set()
            old.gate.set()
