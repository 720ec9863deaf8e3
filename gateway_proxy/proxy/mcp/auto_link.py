"""One MCP server at a URL of which nobody said what it speaks: Streamable HTTP, else the older HTTP+SSE.

Source: MCP 2025-11-25, basic/transports (Backwards Compatibility).
"""

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Link, PassingLink, Peer
from gateway_proxy.proxy.mcp.sse_link import SseLink


class AutoLink(PassingLink):
    """What was found out stays until the server cannot be connected to any more."""

    def __init__(self, newer: HttpLink, older: SseLink) -> None:
        self._newer = newer
        self._older = older
        self.link: Link = newer

    async def connect(self) -> Peer:
        """Raises UpstreamFailed: where neither works, what Streamable HTTP failed with."""
        if self.link is self._older:
            try:
                return await self._older.connect()
            except UpstreamFailed:
                self.link = self._newer
        try:
            return await self._newer.connect()
        except UpstreamFailed as error:
            if error.code != "upstream_broken":
                raise
            try:
                peer = await self._older.connect()
            except UpstreamFailed:
                raise error from None
        self.link = self._older
        return peer

    async def close(self) -> None:
        await self._older.close()
        await self._newer.close()
