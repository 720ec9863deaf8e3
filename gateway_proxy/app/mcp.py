"""MCP in a gateway: the door in front of the servers of the settings, made anew for each revision, and its log.

The servers themselves, their links and what they offer, belong to `mcp_servers`.
"""

import hashlib
import hmac
from decimal import Decimal
from functools import partial

from gateway_proxy.admin.addresses import host_checker
from gateway_proxy.app.mcp_log import McpLogBooks
from gateway_proxy.app.mcp_servers import McpServers
from gateway_proxy.app.runtimes import Services, build_mcp_stages
from gateway_proxy.config import Config
from gateway_proxy.config.mcp import McpServer
from gateway_proxy.core.money import to_nanos
from gateway_proxy.core.tasks import spawn
from gateway_proxy.core.usage import Price
from gateway_proxy.pipeline import Pipeline
from gateway_proxy.plugins.load import Plugins
from gateway_proxy.proxy.handler import DataPlane
from gateway_proxy.proxy.mcp.calls import Calls
from gateway_proxy.proxy.mcp.door import Door
from gateway_proxy.proxy.mcp.noting import Notes
from gateway_proxy.proxy.mcp.own_sessions import OwnSessions
from gateway_proxy.proxy.mcp.revision import CallPrices, McpRevision, price_call
from gateway_proxy.proxy.mcp.sessions import Sessions
from gateway_proxy.proxy.mcp.streams import Streams
from gateway_proxy.proxy.settle import GatewayIdentity, Settlement
from gateway_proxy.storage import Store


class McpGate:
    """One per gateway; made once the data plane is."""

    def __init__(
        self,
        plane: DataPlane,
        settlement: Settlement,
        services: Services,
        pepper: bytes,
        store: Store,
        identity: GatewayIdentity,
    ) -> None:
        """Begins to write the log at once, so a loop must run."""
        self._services = services
        self.books = McpLogBooks(store.mcp_log, services.clock)
        self._writing = spawn(self.books.run(), "write the MCP log")
        sessions = Sessions(hmac.new(pepper, b"mcp session", hashlib.sha256).digest(), services.clock)
        self._own = own = OwnSessions()
        self.calls = calls = Calls(settlement, services.limiter, services.clock, plane.sweeper, sessions, own)
        self.servers = McpServers(
            store.mcp_tools, identity.organization, services.breakers, services.clock, calls.in_use
        )
        self._plane = plane
        self._streams = Streams(plane.sweeper, services.clock, self._present, plane.relay.find_policy, own)
        self._make_door = partial(
            Door,
            calls=calls,
            sessions=sessions,
            settlement=settlement,
            limiter=services.limiter,
            clock=services.clock,
            notes=Notes(self.books, identity.id, services.clock),
            streams=self._streams,
            own=own,
        )
        self._door: Door | None = None

    def apply(self, config: Config, plugins: Plugins) -> None:
        """Put new settings in force for requests from now on."""
        self.books.keeps, self.books.keeps_bodies = config.logs.requests, config.logs.bodies
        asked = self.servers.apply(config)
        mcp = config.mcp
        revision = McpRevision(
            pipeline=Pipeline(build_mcp_stages(config, self._services, plugins)),
            links=dict(self.servers.links),
            discovery=self.servers.discovery,
            prices={server.name: _read_prices(server) for server in mcp.servers},
            forbids=mcp.denied_style == "forbidden",
            allows_host=host_checker(config.server),
            asked=asked,
        )
        if self._door is None:
            self._door = self._make_door(revision)
            self._plane.mcp = self._door.answer
        self._door.revision = revision

    def end_streams(self) -> None:
        """For a shutdown: what only listens must not hold it up."""
        self._streams.end_all()

    async def close(self) -> None:
        """Once no call runs."""
        self._writing.cancel()
        self._own.close()
        await self.servers.close()
        await self.books.close()

    def _present(self) -> McpRevision:
        assert self._door is not None
        return self._door.revision


def _read_prices(server: McpServer) -> CallPrices:
    return CallPrices(
        _price(server.price_per_call), {tool: _price(usd) for tool, usd in server.tool_prices.items()}
    )


def _price(usd: Decimal) -> Price:
    return price_call(to_nanos(usd))
