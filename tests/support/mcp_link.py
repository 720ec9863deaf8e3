"""A link to an MCP server that answers from memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any

from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp.link import LinkExchange, Peer


class FakeLink:
    """Answers lists from pages; waits for `open` first."""

    def __init__(self, *pages: Any, error: Exception | None = None) -> None:
        self.pages, self.error = pages, error
        self.connected = self.asked = 0
        self.open = asyncio.Event()
        self.open.set()
        self.news = asyncio.Event()

    async def connect(self) -> Peer:
        self.connected += 1
        return Peer("2025-11-25", str(self.connected))

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> Message:
        self.asked += 1
        await self.open.wait()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if method != "tools/list":
            return Message("response", 1, outcome={"error": {"code": -32601, "message": "m"}})
        index = int((params or {}).get("cursor", 0))
        more = {"nextCursor": str(index + 1)} if index + 1 < len(self.pages) else {}
        return Message("response", 1, outcome={"result": {"tools": self.pages[index], **more}})

    async def changes(self, peer: Peer) -> AsyncGenerator[None, None]:
        while True:
            await self.news.wait()
            self.news.clear()
            if self.error is not None:
                raise self.error
            yield

    def exchange(self, *_: Any) -> AbstractAsyncContextManager[LinkExchange]:
        raise NotImplementedError

    async def notify(self, *_: Any) -> None: ...

    async def end(self, peer: Peer) -> None: ...

    async def close(self) -> None: ...
