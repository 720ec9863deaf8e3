"""All lists of one MCP server, page by page.

Promises an end: of pages, of things and of patience.
"""

import asyncio
from typing import Any, Protocol

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.mcp.catalogue import KINDS, Offer, Things, read_list
from gateway_proxy.mcp.errors import METHOD_NOT_FOUND
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.methods import METHODS
from gateway_proxy.proxy.mcp.answer import broken
from gateway_proxy.proxy.mcp.link import Peer

MAX_PAGES = 100
MAX_THINGS = 10_000
_LISTS = {method.lists: method.name for method in METHODS.values() if method.lists}


class Asking(Protocol):
    """The part of a link that is needed here."""

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> Message: ...


async def fetch_offer(server: str, link: Asking, peer: Peer, page_seconds: float | None = None) -> Offer:
    """All lists of a server. Raises UpstreamFailed."""
    return Offer(server, {kind: await _fetch_list(kind, link, peer, page_seconds) for kind in KINDS})


async def _fetch_list(kind: str, link: Asking, peer: Peer, page_seconds: float | None) -> Things:
    items: list[Any] = []
    params: dict[str, Any] | None = None
    for _ in range(MAX_PAGES):
        try:
            async with asyncio.timeout(page_seconds):
                answer = await link.ask(peer, _LISTS[kind], params)
        except TimeoutError:
            raise UpstreamFailed(
                "The MCP server did not answer in time.",
                code="upstream_timeout",
                status=504,
                detail=f"{_LISTS[kind]} took longer than timeouts.lists",
            ) from None
        outcome = answer.outcome or {}
        if "error" in outcome:
            if outcome["error"].get("code") == METHOD_NOT_FOUND:
                return {}
            raise broken(f"{_LISTS[kind]} failed with code {outcome['error'].get('code')!a}")
        result = outcome.get("result", {})
        page = result.get(kind)
        if not isinstance(page, list):
            raise broken(f"the result of {_LISTS[kind]} has no list {kind}")
        items += page
        cursor = result.get("nextCursor")
        if not isinstance(cursor, str):
            return read_list(kind, items)
        if len(items) > MAX_THINGS:
            break
        params = {"cursor": cursor}
    raise broken(f"the server lists more than {MAX_THINGS} {kind}, or over more than {MAX_PAGES} pages")
