"""What the MCP servers offer, asked and kept.

Promises: one server that hangs or lies neither delays nor empties the list of the others; what a server offered last
stays until it offers something else. When to ask again belongs to the caller.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn
from gateway_proxy.mcp.catalogue import KINDS, Catalogue, Offer, Things, make_catalogue, read_list
from gateway_proxy.mcp.errors import METHOD_NOT_FOUND
from gateway_proxy.mcp.methods import METHODS
from gateway_proxy.proxy.mcp.answer import broken
from gateway_proxy.proxy.mcp.link import Link, Peer, SessionEnded

MAX_PAGES = 100
MAX_THINGS = 10_000
PATIENCE_SECONDS = 2.0
_LISTS = {method.lists: method.name for method in METHODS.values() if method.lists}


class Discovery:
    """The offers of all servers; `catalogue` is what is known now."""

    def __init__(self, links: Mapping[str, Link], previous: "Discovery | None" = None) -> None:
        """What `previous` knows of links that are the same is taken over."""
        self._links = links
        self._peers: dict[str, Peer] = {}
        self._offers = {name: Offer(name, problem="not asked yet") for name in links}
        if previous is not None:
            kept = [name for name, link in links.items() if previous._links.get(name) is link]
            self._offers |= {name: previous._offers[name] for name in kept}
            self._peers = {name: peer for name, peer in previous._peers.items() if name in kept}
        self._asking: dict[str, asyncio.Task[None]] = {}

    @property
    def catalogue(self) -> Catalogue:
        return make_catalogue(self._offers.values())

    async def refresh(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Asks all servers at once and waits no longer than this; late answers are kept when they come."""
        for name in self._links:
            if name not in self._asking:
                self._asking[name] = spawn(self._refresh_one(name), f"mcp discovery of {name}")
        if not self._asking:
            return
        asked = dict(self._asking)
        _, late = await asyncio.wait(asked.values(), timeout=patience_seconds)
        for name, task in asked.items():
            if task in late:
                self._set_problem(name, "The MCP server did not answer in time.")

    async def peer(self, server: str) -> Peer:
        """What was agreed with this server, now if not before. Raises UpstreamFailed."""
        if server not in self._peers:
            self._peers[server] = await self._links[server].connect()
        return self._peers[server]

    def forget(self, server: str, peer: Peer) -> None:
        """This agreement no longer holds; the next call makes another."""
        if self._peers.get(server) is peer:
            del self._peers[server]

    async def _refresh_one(self, server: str) -> None:
        try:
            self._offers[server] = await self._fetch(server)
        except UpstreamFailed as error:
            self._set_problem(server, error.public)
        finally:
            del self._asking[server]

    async def _fetch(self, server: str) -> Offer:
        peer = await self.peer(server)
        try:
            return await fetch_offer(server, self._links[server], peer)
        except SessionEnded:
            self.forget(server, peer)
            return await fetch_offer(server, self._links[server], await self.peer(server))

    def _set_problem(self, server: str, problem: str) -> None:
        self._offers[server] = replace(self._offers[server], problem=problem)


async def fetch_offer(server: str, link: Link, peer: Peer) -> Offer:
    """All lists of a server. Raises UpstreamFailed."""
    return Offer(server, {kind: await _fetch_list(kind, link, peer) for kind in KINDS})


async def _fetch_list(kind: str, link: Link, peer: Peer) -> Things:
    items: list[Any] = []
    params: dict[str, Any] | None = None
    for _ in range(MAX_PAGES):
        outcome = (await link.ask(peer, _LISTS[kind], params)).outcome or {}
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
