"""How one MCP server does: its breaker, what was called there and what failed last.

Promises: one that failed several times in a row is not called for a while, so that callers hear at once what they would
otherwise wait for. Discovery asks all the same, and its first answer ends the pause.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp.link import Link, LinkExchange, PassingLink, Peer, SessionEnded
from gateway_proxy.routing.breaker import Breakers, Circuit

RETRY_MS = 5_000
FAREWELL_SECONDS = 1.0


class ServerHealth:
    """Of one server; outlives its links."""

    def __init__(self, name: str, breakers: Breakers, clock: Clock) -> None:
        self.calls = 0
        self.failures = 0
        self.last_error = ""
        self.last_error_at: int | None = None
        self._circuit: Circuit = (f"mcp:{name}", "")
        self._breakers = breakers
        self._clock = clock

    @property
    def state(self) -> str:
        """up, half_open or down."""
        return self._breakers.health(self._circuit[0])

    def check(self) -> None:
        """Ask right before a call. Raises UpstreamFailed while the server rests."""
        if not self._breakers.begin(self._circuit):
            raise UpstreamFailed(
                "The MCP server failed several times in a row and is left alone for a while.",
                code="upstream_unavailable",
                status=503,
                detail="breaker open",
                retry_after_ms=RETRY_MS,
            )

    def note_answer(self) -> None:
        self._breakers.succeed(self._circuit)

    def note_failure(self, error: UpstreamFailed) -> None:
        """A forgotten session is no fault: it is made anew."""
        if isinstance(error, SessionEnded):
            return
        self.failures += 1
        self.last_error = f"{error.public} ({error.detail})" if error.detail else error.public
        self.last_error_at = self._clock.now_ms()
        self._breakers.fail(self._circuit)


class WatchedLink(PassingLink):
    """A link whose outcomes are noted."""

    def __init__(self, link: Link, health: ServerHealth) -> None:
        self.link = link
        self.health = health
        self._peer: Peer | None = None

    async def connect(self) -> Peer:
        try:
            self._peer = await self.link.connect()
            return self._peer
        except UpstreamFailed as error:
            self.health.note_failure(error)
            raise

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> Message:
        try:
            answer = await self.link.ask(peer, method, params)
        except UpstreamFailed as error:
            self.health.note_failure(error)
            raise
        self.health.note_answer()
        return answer

    @asynccontextmanager
    async def exchange(
        self,
        peer: Peer,
        method: str,
        params: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[LinkExchange]:
        self.health.calls += 1
        try:
            async with self.link.exchange(peer, method, params, headers) as exchange:
                yield exchange
        except UpstreamFailed as error:
            self.health.note_failure(error)
            raise
        self.health.note_answer()

    async def close(self) -> None:
        """Says goodbye to a legacy server first, which would otherwise keep the session."""
        if self._peer is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self.link.end(self._peer)
        await self.link.close()
