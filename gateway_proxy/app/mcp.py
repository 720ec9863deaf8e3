"""MCP in a gateway: links to the servers of the settings, what they offer, and the door in front of them.

Promises: a reload keeps the links of servers whose settings did not change, and calls that run finish on the link that
they began with; a server that cannot be set up is told in the log and leaves the others alone.
"""

import asyncio
import hashlib
import hmac
import logging
from decimal import Decimal
from functools import partial

from gateway_proxy.admin.addresses import host_checker
from gateway_proxy.app.mcp_log import McpLogBooks
from gateway_proxy.app.runtimes import Services, build_mcp_stages
from gateway_proxy.config import Config
from gateway_proxy.config.mcp import McpServer
from gateway_proxy.core.money import NANOS_PER_USD
from gateway_proxy.core.tasks import spawn
from gateway_proxy.core.usage import Price
from gateway_proxy.pipeline import Pipeline
from gateway_proxy.plugins.load import Plugins
from gateway_proxy.proxy.handler import DataPlane
from gateway_proxy.proxy.mcp.calls import Calls
from gateway_proxy.proxy.mcp.discovery import Discovery
from gateway_proxy.proxy.mcp.door import Door
from gateway_proxy.proxy.mcp.link import Link
from gateway_proxy.proxy.mcp.links import make_link
from gateway_proxy.proxy.mcp.noting import Notes
from gateway_proxy.proxy.mcp.revision import CallPrices, McpRevision, price_call
from gateway_proxy.proxy.mcp.sessions import Sessions
from gateway_proxy.proxy.settle import Settlement
from gateway_proxy.storage.mcp_log import McpLog

log = logging.getLogger("gateway_proxy.mcp")

REFRESH_SECONDS = 60.0
IDLE_CHECK_SECONDS = 0.25


class McpGate:
    """One per gateway; made once the data plane is."""

    def __init__(
        self,
        plane: DataPlane,
        settlement: Settlement,
        services: Services,
        pepper: bytes,
        table: McpLog,
        gateway_id: str,
    ) -> None:
        """Begins to write the log at once, so a loop must run."""
        self._services = services
        self.books = McpLogBooks(table, services.clock)
        self._writing = spawn(self.books.run(), "write the MCP log")
        self._servers: dict[str, McpServer] = {}
        self._links: dict[str, Link] = {}
        self._discovery = Discovery({})
        self._refreshing: asyncio.Task[None] | None = None
        sessions = Sessions(hmac.new(pepper, b"mcp session", hashlib.sha256).digest(), services.clock)
        calls = Calls(settlement, services.limiter, services.clock, plane.sweeper, sessions)
        self._calls = calls
        self._plane = plane
        self._make_door = partial(
            Door,
            calls=calls,
            sessions=sessions,
            settlement=settlement,
            limiter=services.limiter,
            clock=services.clock,
            notes=Notes(self.books, gateway_id, services.clock),
        )
        self._door: Door | None = None

    def apply(self, config: Config, plugins: Plugins) -> None:
        """Put new settings in force for requests from now on."""
        self.books.keeps, self.books.keeps_bodies = config.logs.requests, config.logs.bodies
        asked = self._connect(config)
        mcp = config.mcp
        revision = McpRevision(
            pipeline=Pipeline(build_mcp_stages(config, self._services, plugins)),
            links=dict(self._links),
            discovery=self._discovery,
            prices={server.name: _read_prices(server) for server in mcp.servers},
            forbids=mcp.denied_style == "forbidden",
            allows_host=host_checker(config.server),
            asked=asked,
        )
        if self._door is None:
            self._door = self._make_door(revision)
            self._plane.mcp = self._door.answer
        self._door.revision = revision

    async def close(self) -> None:
        """Once no call runs."""
        self._writing.cancel()
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self.books.close()
        await asyncio.gather(*(link.close() for link in self._links.values()))

    def _connect(self, config: Config) -> asyncio.Task[None] | None:
        """Links for the servers as they are now set; the task ends when all that are new were asked."""
        servers = {server.name: server for server in config.mcp.servers}
        if servers == self._servers:
            return None
        before, self._links = self._links, {}
        for name, server in servers.items():
            if name in before and server == self._servers.get(name):
                self._links[name] = before[name]
                continue
            try:
                self._links[name] = make_link(server)
            except ValueError as error:
                log.error("the MCP server is left out: %s", error)
        self._servers = servers
        for name, link in before.items():
            if self._links.get(name) is not link:
                spawn(self._close_when_idle(link), "close the link to a retired MCP server")
        self._discovery = Discovery(self._links, self._discovery)
        if self._refreshing is not None:
            self._refreshing.cancel()
        asked = spawn(self._discovery.refresh(), "first MCP discovery")
        self._refreshing = spawn(self._refresh(self._discovery), "MCP discovery") if self._links else None
        return asked

    async def _refresh(self, discovery: Discovery) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await discovery.refresh()

    async def _close_when_idle(self, link: Link) -> None:
        while self._calls.in_use[link]:
            await asyncio.sleep(IDLE_CHECK_SECONDS)
        del self._calls.in_use[link]
        await link.close()


def _read_prices(server: McpServer) -> CallPrices:
    return CallPrices(
        _price(server.price_per_call), {tool: _price(usd) for tool, usd in server.tool_prices.items()}
    )


def _price(usd: Decimal) -> Price:
    return price_call(int(usd * NANOS_PER_USD))
