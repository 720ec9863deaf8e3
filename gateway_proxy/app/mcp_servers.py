"""The MCP servers of the settings: their links, what they offer, how they do, and what was approved of their tools.

Promises: a reload keeps the links of servers that are reached as before, and calls that run finish on the link that they
began with; a server that cannot be set up is told in the log and leaves the others alone; first sights of tools are
written to the store behind everything else. Serving clients belongs to `app.mcp`.
"""

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from typing import Any

from gateway_proxy.app.mcp_facts import describe_server
from gateway_proxy.config import Config
from gateway_proxy.config.mcp import McpServer
from gateway_proxy.core.approval import Approval
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.tasks import end, spawn
from gateway_proxy.mcp.catalogue import Offer
from gateway_proxy.mcp.definitions import Definitions, describe_definition
from gateway_proxy.proxy.mcp.discovery import Discovery
from gateway_proxy.proxy.mcp.health import ServerHealth, WatchedLink
from gateway_proxy.proxy.mcp.link import Link
from gateway_proxy.proxy.mcp.links import make_link
from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.mcp_tools import McpToolRows

log = logging.getLogger("gateway_proxy.mcp")

REFRESH_SECONDS = 60.0
IDLE_CHECK_SECONDS = 0.25
_NOT_OF_LINKS = {"price_per_call", "tool_prices", "on_changed_tool"}


class McpServers:
    """One per gateway. `in_use` tells how many calls run at a link."""

    def __init__(
        self,
        rows: McpToolRows,
        organization: str,
        breakers: Breakers,
        clock: Clock,
        in_use: Counter[Link],
    ) -> None:
        self._rows = rows
        self._organization = organization
        self._breakers = breakers
        self._clock = clock
        self._in_use = in_use
        self._servers: dict[str, McpServer] = {}
        self._health: dict[str, ServerHealth] = {}
        self._definitions = Definitions()
        self._loaded = False
        self._unwritten: list[Approval] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.links: dict[str, Link] = {}
        self.discovery = Discovery({})

    def apply(self, config: Config) -> asyncio.Task[None] | None:
        """Links for the servers as they are now set; the task ends when all that are new were asked."""
        before, self._servers = self._servers, {server.name: server for server in config.mcp.servers}
        if self._servers == before:
            return None
        for name in before.keys() - self._servers.keys():
            if (health := self._health.pop(name, None)) is not None:
                health.note_answer()  # nobody needs to hear that it is down
        links, self.links = self.links, {}
        for name, server in self._servers.items():
            if name in links and _reaches_like(server, before[name]):
                self.links[name] = links[name]
                continue
            try:
                self.links[name] = WatchedLink(make_link(server), self._watch_over(name))
            except ValueError as error:
                log.error("the MCP server is left out: %s", error)
        for name, link in links.items():
            if self.links.get(name) is not link:
                spawn(self._close_when_idle(link), "close the link to a retired MCP server")
        return self._discover()

    async def close(self) -> None:
        """Once no call runs."""
        await end(self._tasks)
        await self.discovery.close()
        await asyncio.gather(*(link.close() for link in self.links.values()))
        await self._write()

    def describe(self) -> list[dict[str, Any]]:
        """What there is to know of each server, in the order of the settings; no secret among it."""
        catalogue = self.discovery.catalogue
        return [
            describe_server(
                server,
                catalogue[name],
                self.discovery.known_peer(name),
                self._health[name],
                self._definitions,
            )
            for name, server in self._servers.items()
            if name in self.links
        ]

    def find_changed(self, server: str, tool: str) -> dict[str, str] | None:
        """`{"fingerprint", "definition"}` of a tool that waits to be approved."""
        offer = self.discovery.catalogue.get(server)
        changed = None if offer is None else offer.changed.get(tool)
        if changed is None:
            return None
        fingerprint, definition = describe_definition(changed.definition)
        return {"fingerprint": fingerprint, "definition": definition}

    def approve(self, server: str, tool: str, fingerprint: str, definition: str) -> None:
        """An administrator approved this definition; the store has it already."""
        self._definitions.approve(Approval(server, tool, fingerprint, definition))
        self.discovery.judge_again()

    def wake(self) -> None:
        """The store has changed: perhaps a tool that waits here was approved through another gateway."""
        if any(offer.changed for offer in self.discovery.catalogue.values()):
            spawn(self._load(), "look for approved MCP tools")

    def _discover(self) -> asyncio.Task[None]:
        old, servers = self.discovery, self._servers
        self.discovery = Discovery(
            self.links,
            old,
            judge=self._judge,
            check=lambda name: self._health[name].check(),
            page_seconds={name: servers[name].timeouts.lists for name in self.links},
        )
        spawn(old.close(), "end the former discovery")
        for task in self._tasks:
            task.cancel()
        asked = spawn(self._begin(self.discovery), "first MCP discovery")
        self._tasks = [asked]
        if self.links:
            self._tasks.append(spawn(self._refresh(self.discovery), "MCP discovery"))
        return asked

    async def _begin(self, discovery: Discovery) -> None:
        if self.links and not self._loaded:
            await self._load()
        discovery.watch()
        await discovery.refresh()
        await self._write()

    async def _refresh(self, discovery: Discovery) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._load()
            await discovery.refresh()
            await self._write()

    def _judge(self, offer: Offer) -> Offer:
        server = self._servers.get(offer.server)
        if server is None:
            return offer
        blocks = server.on_changed_tool == "block"
        if not self._loaded:
            unknown = "What was approved of its tools is not known now."
            return replace(offer, lists={**offer.lists, "tools": {}}, problem=unknown) if blocks else offer
        self._unwritten += self._definitions.meet(offer)
        return self._definitions.judge(offer, blocks=blocks)

    async def _load(self) -> None:
        try:
            self._definitions.take(await self._rows.list(self._organization))
        except StoreError as error:
            log.error("what was approved of MCP tools is not known now: %s", error)
            return
        self._loaded = True
        self.discovery.judge_again()

    async def _write(self) -> None:
        fresh, self._unwritten = self._unwritten, []
        if not fresh:
            return
        try:
            await self._rows.add(self._organization, fresh, self._clock.now_ms())
        except StoreError as error:
            self._unwritten = fresh + self._unwritten
            log.error("new MCP tools are not written down yet: %s", error)

    def _watch_over(self, name: str) -> ServerHealth:
        if name not in self._health:
            self._health[name] = ServerHealth(name, self._breakers, self._clock)
        return self._health[name]

    async def _close_when_idle(self, link: Link) -> None:
        while self._in_use[link]:
            await asyncio.sleep(IDLE_CHECK_SECONDS)
        del self._in_use[link]
        await link.close()


def _reaches_like(server: McpServer, other: McpServer) -> bool:
    """Whether a link made for one serves the other."""
    return server.model_copy(update={name: getattr(other, name) for name in _NOT_OF_LINKS}) == other
