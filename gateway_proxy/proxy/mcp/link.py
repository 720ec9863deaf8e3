"""The way to one MCP server, whatever carries it: what the door and discovery may rely on.

Promises of every link: nothing of a client reaches the server but what it is given; each request gets an id of the
link's own; leaving an exchange before its response cancels it at the server; a `ping` of the server is answered by the
link itself; no message is longer than the server's cap; every failure is an UpstreamFailed. What all links do alike is done here. Which client
may ask what is decided before. How a link is made of its settings belongs to `links.py`.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.mcp.eras import fit_params
from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp.answer import broken


@dataclass(frozen=True, slots=True)
class Peer:
    """What was agreed with a server: the revision, in the legacy era perhaps a session, and what the server can do
    (the `capabilities` of its `initialize` or `server/discover`).
    """

    version: str
    session_id: str | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict, compare=False)
    # It belongs to one client, to whom the server's requests are handed on.
    is_own: bool = field(default=False, compare=False)


class SessionEnded(UpstreamFailed):
    """The server has forgotten a legacy session: connect again."""


class LinkExchange(Protocol):
    """The messages that answer one request: notifications and requests that belong to it, and at last its response."""

    def messages(self) -> AsyncGenerator[Message, None]:
        """Each as it comes; the response is the last. Raises UpstreamFailed where none comes."""
        ...

    async def final(self) -> Message:
        """The response, passing over what comes before. Raises UpstreamFailed."""
        async with aclosing(self.messages()) as found:
            async for message in found:
                if message.kind == "response":
                    return message
        raise broken("the server's answer ended without a response")


class Link(Protocol):
    """One for each server, shared by all exchanges."""

    async def connect(self) -> Peer:
        """Finds out the server's era; in the legacy one this opens a session. Raises UpstreamFailed."""
        ...

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> Message:
        """The response to a request of the gateway's own, which is fitted to the era here. Raises UpstreamFailed."""
        params = fit_params(params, server=peer.version)
        async with self.exchange(peer, method, params) as exchange:
            return await exchange.final()

    def exchange(
        self,
        peer: Peer,
        method: str,
        params: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[LinkExchange]:
        """One request, whose params are fitted to the peer's era already (`eras.fit_params`); `headers` are a client's
        Mcp-Param-*. Raises UpstreamFailed.
        """
        ...

    async def notify(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> None:
        """Sends a notification. Raises UpstreamFailed."""
        ...

    async def open_session(self, capabilities: Mapping[str, Any]) -> Peer | None:
        """A legacy session for one client that can do this (`is_own`); None where the server has none. Raises
        UpstreamFailed.
        """
        ...

    async def reply(self, peer: Peer, answer: Message) -> None:
        """Answers a request of the server in a client's own session. Raises UpstreamFailed."""
        ...

    def session_messages(self, peer: Peer) -> AsyncGenerator[Message | None, None]:
        """What the server says in a client's own session beside its calls, until it stops; None first, as soon as it
        can be heard. Raises UpstreamFailed.
        """
        ...

    def changes(self, peer: Peer) -> AsyncGenerator[None, None]:
        """One for each time that the server says its lists have changed, for as long as this peer holds. Ends at once where
        the server tells of no changes. Raises UpstreamFailed.
        """
        ...

    async def end(self, peer: Peer) -> None:
        """Ends a legacy session; whether the server minds does not matter."""
        ...

    async def close(self) -> None:
        """Ends everything that the link holds: connections, processes, tasks."""
        ...


class PassingLink(Link):
    """A link that hands on to another what it does not do itself."""

    link: Link

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> Message:
        return await self.link.ask(peer, method, params)

    def exchange(
        self,
        peer: Peer,
        method: str,
        params: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[LinkExchange]:
        return self.link.exchange(peer, method, params, headers)

    async def notify(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> None:
        await self.link.notify(peer, method, params)

    async def open_session(self, capabilities: Mapping[str, Any]) -> Peer | None:
        return await self.link.open_session(capabilities)

    async def reply(self, peer: Peer, answer: Message) -> None:
        await self.link.reply(peer, answer)

    def session_messages(self, peer: Peer) -> AsyncGenerator[Message | None, None]:
        return self.link.session_messages(peer)

    def changes(self, peer: Peer) -> AsyncGenerator[None, None]:
        return self.link.changes(peer)

    async def end(self, peer: Peer) -> None:
        await self.link.end(peer)
