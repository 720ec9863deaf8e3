"""One MCP server at the other end of a channel, opened when it is needed and again when it has ended.

Promises: all who connect at once share one opening, and one of them leaving does not end it; a channel is never spoken to
in two eras, for a server may keep to that of its first message. How a channel is opened belongs to those who inherit.
Source: MCP 2026-07-28, basic/versioning and basic/transports/stdio (Backward Compatibility).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn
from gateway_proxy.mcp.eras import fit_params
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.versions import MODERN, is_modern
from gateway_proxy.proxy.mcp.agreement import (
    initialize_params,
    read_agreement,
    read_capabilities,
    read_supported,
)
from gateway_proxy.proxy.mcp.answer import broken
from gateway_proxy.proxy.mcp.changes import listen, told_changes
from gateway_proxy.proxy.mcp.channel import Channel, ChannelExchange
from gateway_proxy.proxy.mcp.link import Link, Peer, SessionEnded

PROBE_SECONDS = 10.0


class ChannelLink(Link, ABC):
    """`session_id` of its peers is the number of the opening."""

    def __init__(
        self, *, start_seconds: float, silence_seconds: float, is_legacy: bool | None = None
    ) -> None:
        self._start_seconds = start_seconds
        self._silence_seconds = silence_seconds
        self._is_legacy = is_legacy  # None: not known yet
        self._channel: Channel | None = None
        self._peer: Peer | None = None
        self._openings = 0
        self._connecting: asyncio.Task[Peer | UpstreamFailed] | None = None
        self._closed = False

    @abstractmethod
    async def _open(self) -> Channel:
        """A new channel. Raises UpstreamFailed, upstream_unavailable where another era would change nothing."""

    @abstractmethod
    async def _shut(self) -> None:
        """Ends the channel that was opened last, if it has not ended."""

    async def connect(self) -> Peer:
        """Raises UpstreamFailed."""
        if self._channel is not None and self._channel.failure is None and self._peer is not None:
            return self._peer
        if self._closed:
            raise _retired()
        if self._connecting is None or self._connecting.done():
            self._connecting = spawn(self._agree(), "mcp connect")
        try:
            outcome = await asyncio.shield(self._connecting)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._connecting.cancelled() and task is not None and not task.cancelling():
                raise _retired() from None  # the opening was cancelled, not whoever waits for it
            raise
        if isinstance(outcome, UpstreamFailed):
            raise outcome
        return outcome

    @asynccontextmanager
    async def exchange(
        self,
        peer: Peer,
        method: str,
        params: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[ChannelExchange]:
        """There is no place for headers here. Raises UpstreamFailed, SessionEnded for a peer of an earlier opening."""
        async with self._current(peer).exchange(method, params, self._silence_seconds) as exchange:
            yield exchange

    async def notify(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> None:
        """Raises UpstreamFailed."""
        await self._current(peer).send(Message("notification", None, method, params))

    async def changes(self, peer: Peer) -> AsyncGenerator[None, None]:
        """Raises UpstreamFailed when the channel ends."""
        if is_modern(peer.version) and told_changes(peer):
            async with aclosing(listen(self, peer)) as told:
                async for _ in told:
                    yield
        channel = self._current(peer)
        while True:
            await channel.stirred.wait()
            channel.stirred.clear()
            if channel.failure is not None:
                raise channel.failure
            yield

    async def open_session(self, capabilities: Mapping[str, Any]) -> Peer | None:
        """One channel is one session."""
        return None

    async def reply(self, peer: Peer, answer: Message) -> None:
        """Raises UpstreamFailed."""
        await self._current(peer).send(answer)

    async def session_messages(self, peer: Peer) -> AsyncGenerator[Message | None, None]:
        """None: no session is a client's own."""
        nothing: tuple[Message, ...] = ()
        for message in nothing:
            yield message

    async def end(self, peer: Peer) -> None:
        """The channel goes on: it is everybody's."""

    async def close(self) -> None:
        """Ends the channel, and an opening that goes on."""
        self._closed = True
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self._shut()

    def _current(self, peer: Peer) -> Channel:
        channel = self._channel
        if channel is None or channel.failure is not None or peer.session_id != str(self._openings):
            raise SessionEnded("The MCP server has been started anew.", detail="of an earlier opening")
        return channel

    async def _agree(self) -> Peer | UpstreamFailed:
        try:
            self._peer = await self._negotiate()
            return self._peer
        except UpstreamFailed as error:
            await self._shut()
            return error
        except BaseException:
            await self._shut()
            raise

    async def _negotiate(self, *, again: bool = True) -> Peer:
        if self._is_legacy is not True and (peer := await self._discover()) is not None:
            self._is_legacy = False
            return peer
        channel = await self._open_anew()
        answer = await self._ask_within(channel, self._start_seconds, "initialize", initialize_params())
        if MODERN in read_supported(answer) and self._is_legacy is None and again:
            self._is_legacy = False  # it was too slow for the first question
            return await self._negotiate(again=False)
        version, capabilities = read_agreement(answer)
        await channel.send(Message("notification", None, "notifications/initialized"))
        self._is_legacy = True
        return Peer(version, str(self._openings), capabilities)

    async def _discover(self) -> Peer | None:
        """The agreement with a modern server; None for one that is none. Raises UpstreamFailed."""
        channel = await self._open_anew()
        known = self._is_legacy is False
        seconds = self._start_seconds if known else min(PROBE_SECONDS, self._start_seconds)
        params = fit_params(None, server=MODERN)
        try:
            answer = await self._ask_within(channel, seconds, "server/discover", params)
        except UpstreamFailed as error:
            if known or error.code == "upstream_unavailable":
                raise
            return None
        if MODERN not in read_supported(answer):
            if known:
                raise broken("the server does not speak the protocol version that it spoke before")
            return None
        return Peer(MODERN, str(self._openings), read_capabilities((answer.outcome or {}).get("result")))

    async def _open_anew(self) -> Channel:
        await self._shut()
        self._openings += 1
        self._channel = await self._open()
        return self._channel

    async def _ask_within(
        self, channel: Channel, seconds: float, method: str, params: dict[str, Any] | None
    ) -> Message:
        async with channel.exchange(method, params, seconds) as exchange:
            return await exchange.final()


def _retired() -> UpstreamFailed:
    return UpstreamFailed("The MCP server is not in use any more.", code="upstream_unavailable", status=503)
