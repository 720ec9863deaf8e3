"""News of a server whose lists have changed, as its era has them.

Source: MCP 2026-07-28, basic/patterns/subscriptions; 2025-11-25, server/tools (List Changed Notification).
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from gateway_proxy.mcp.eras import fit_params
from gateway_proxy.proxy.mcp.link import Link, Peer

LISTEN = "subscriptions/listen"
SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId"
LIST_CHANGES = frozenset(f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources"))
_FILTERS = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}


def told_changes(peer: Peer) -> dict[str, bool]:
    """The filter of all changes that the server says it tells of; empty for one that tells of none."""
    told: dict[str, bool] = {}
    for kind, name in _FILTERS.items():
        offered: Any = peer.capabilities.get(kind)
        if isinstance(offered, dict) and offered.get("listChanged") is True:
            told[name] = True
    return told


async def listen(link: Link, peer: Peer) -> AsyncGenerator[None, None]:
    """Subscribes at a server of the modern era; once for each change. Raises UpstreamFailed when that ends."""
    params = fit_params({"notifications": told_changes(peer)}, server=peer.version)
    async with link.exchange(peer, LISTEN, params) as exchange:
        async with aclosing(exchange.messages()) as messages:
            async for message in messages:
                if message.method in LIST_CHANGES:
                    yield
