"""One MCP server at a URL of which nobody said what it speaks: Streamable HTTP, else the older HTTP+SSE.

Source: MCP 2025-11-25, basic/transports (Backwards Compatibility).
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Link, LinkExchange, Peer
from gateway_proxy.proxy.mcp.sse_link import SseLink


class AutoLink:
    """What was found out stays until the server cannot be connected to any more."""

    def __init__(self, newer: HttpLink, older: SseLink) -> None:
        self._newer = newer
        self._older = older
        self._chosen: Link = newer

    async def connect(self) -> Peer:
        """Raises UpstreamFailed: where neither works, what Streamable HTTP failed with."""
        if self._chosen is self._older:
            try:
                return await self._older.connect()
            except UpstreamFailed:
                self._chosen = self._newer
        try:
            return await self._newer.connect()
        except UpstreamFailed as error:
            if error.code != "upstream_broken":
                raise
            try:
                peer = await self._older.connect()
            except UpstreamFailed:
                raise error from None
        self._chosen = self._older
        return peer

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> Message:
        return await self._chosen.ask(peer, method, params)

    def exchange(
        self,
        peer: Peer,
        method: str,
        params: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[LinkExchange]:
        return self._chosen.exchange(peer, method, params, headers)

    async def notify(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> None:
        await self._chosen.notify(peer, method, params)

    async def open_session(self, capabilities: Mapping[str, Any]) -> Peer | None:
        return await self._chosen.open_session(capabilities)

    async def reply(self, peer: Peer, answer: Message) -> None:
        await self._chosen.reply(peer, answer)

    def session_messages(self, peer: Peer) -> AsyncGenerator[Message | None, None]:
        return self._chosen.session_messages(peer)

    def changes(self, peer: Peer) -> AsyncGenerator[None, None]:
        return self._chosen.changes(peer)

    async def end(self, peer: Peer) -> None:
        await self._chosen.end(peer)

    async def close(self) -> None:
        await self._older.close()
        await self._newer.close()
