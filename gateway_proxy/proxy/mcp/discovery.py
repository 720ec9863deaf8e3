"""What the MCP servers offer, asked and kept.

Promises: one server that hangs or lies neither delays nor empties the list of the others; what a server offered last
stays until it offers something else; a server that says its lists have changed is asked again soon, and not more than once a
second. When to ask again without being told belongs to the caller.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import end, spawn
from gateway_proxy.mcp.catalogue import Catalogue, Offer, make_catalogue
from gateway_proxy.proxy.mcp.link import Link, Peer, SessionEnded
from gateway_proxy.proxy.mcp.offers import fetch_offer

PATIENCE_SECONDS = 2.0
CALM_SECONDS = 1.0
FIRST_RETRY_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
NO_NEWS_SECONDS = 300.0

Judge = Callable[[Offer], Offer]
"""What may be offered of what a server offers."""


class Discovery:
    """The offers of all servers; `catalogue` is what is known now."""

    def __init__(
        self,
        links: Mapping[str, Link],
        previous: "Discovery | None" = None,
        *,
        judge: Judge = lambda offer: offer,
        check: Callable[[str], None] = lambda server: None,
        page_seconds: Mapping[str, float] | None = None,
    ) -> None:
        """What `previous` knows of links that are the same is taken over. `check` may refuse a call with UpstreamFailed."""
        self._links = links
        self._judge = judge
        self._check = check
        self._page_seconds = page_seconds or {}
        self._peers: dict[str, Peer] = {}
        self._told = {name: Offer(name, problem="not asked yet") for name in links}
        if previous is not None:
            kept = [name for name, link in links.items() if previous._links.get(name) is link]
            self._told |= {name: previous._told[name] for name in kept}
            self._peers = {name: peer for name, peer in previous._peers.items() if name in kept}
        self._agreeing: dict[str, asyncio.Task[Peer | UpstreamFailed]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._watching: list[asyncio.Task[None]] = []
        self._retrying: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        self.judge_again()

    def judge_again(self) -> None:
        """What may be offered has changed."""
        self._judged = {name: self._judge(offer) for name, offer in self._told.items()}
        self.catalogue: Catalogue = make_catalogue(self._judged.values())

    def watch(self) -> None:
        """From now on servers are asked again when they say that something changed."""
        self._watching = [spawn(self._watch(name), f"mcp news of {name}") for name in self._links]

    async def close(self) -> None:
        """Nothing is asked any more; calls that run may still agree with their servers."""
        self._closed = True
        await end([*self._watching, *self._retrying.values(), *self._asking.values()])

    async def refresh(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Asks all servers at once and waits no longer than this; late answers are kept when they come."""
        asked = {name: self._ask(name) for name in self._links}
        if not asked:
            return
        _, late = await asyncio.wait(asked.values(), timeout=patience_seconds)
        for name, task in asked.items():
            if task in late:
                self._note_problem(name, "The MCP server did not answer in time.")

    async def peer(self, server: str) -> Peer:
        """What was agreed with this server, now if not before, for a call. Raises UpstreamFailed."""
        self._check(server)
        return await self._agree(server)

    def known_peer(self, server: str) -> Peer | None:
        """What was agreed last, if that still holds."""
        return self._peers.get(server)

    def forget(self, server: str, peer: Peer) -> None:
        """This agreement no longer holds; the next call makes another."""
        if self._peers.get(server) is peer:
            del self._peers[server]

    def doubt(self, server: str) -> None:
        """A call did not get through: whether the server is gone need not wait for the next refresh."""
        if not self._closed and server not in self._retrying:
            self._ask(server, CALM_SECONDS)

    async def _agree(self, server: str) -> Peer:
        """All who need an agreement at once make one; who leaves meanwhile does not end it."""
        if (peer := self._peers.get(server)) is not None:
            return peer
        task = self._agreeing.get(server)
        if task is None:
            task = self._agreeing[server] = spawn(self._connect(server), f"mcp connect to {server}")
        outcome = await asyncio.shield(task)
        if isinstance(outcome, UpstreamFailed):
            raise outcome
        return outcome

    async def _connect(self, server: str) -> Peer | UpstreamFailed:
        try:
            peer = self._peers[server] = await self._links[server].connect()
            return peer
        except UpstreamFailed as error:
            return error
        finally:
            del self._agreeing[server]

    def _ask(self, server: str, after_seconds: float = 0) -> asyncio.Task[None]:
        """The question that goes on, or another one."""
        task = self._asking.get(server)
        if task is None:
            task = spawn(self._refresh_one(server, after_seconds), f"mcp discovery of {server}")
            self._asking[server] = task
        return task

    async def _refresh_one(self, server: str, after_seconds: float) -> None:
        try:
            if after_seconds:
                await asyncio.sleep(after_seconds)
            offer = await self._fetch(server)
        except UpstreamFailed as error:
            self._note_problem(server, error.public)
            if server not in self._retrying:
                self._retrying[server] = spawn(self._retry(server), f"mcp recovery of {server}")
        else:
            self._take(offer)
        finally:
            del self._asking[server]

    async def _retry(self, server: str) -> None:
        """Asks one that failed again, ever more rarely, until it answers."""
        pause = FIRST_RETRY_SECONDS
        try:
            while self._told[server].problem:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                await asyncio.wait((self._ask(server),))
        finally:
            del self._retrying[server]

    async def _fetch(self, server: str) -> Offer:
        link, seconds = self._links[server], self._page_seconds.get(server)
        peer = await self._agree(server)
        try:
            return await fetch_offer(server, link, peer, seconds)
        except SessionEnded:
            self.forget(server, peer)
            return await fetch_offer(server, link, await self._agree(server), seconds)

    def _note_problem(self, server: str, problem: str) -> None:
        self._take(replace(self._told[server], problem=problem))

    def _take(self, offer: Offer) -> None:
        self._told[offer.server] = offer
        self._judged[offer.server] = self._judge(offer)
        self.catalogue = make_catalogue(self._judged.values())

    async def _watch(self, server: str) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            peer: Peer | None = None
            try:
                peer = await self._agree(server)
                async for _ in self._links[server].changes(peer):
                    pause = FIRST_PAUSE_SECONDS
                    await self._wait_for_question(server)
                    self._ask(server, CALM_SECONDS)
                await asyncio.sleep(NO_NEWS_SECONDS)  # it tells of no changes
            except UpstreamFailed as error:
                if peer is not None:
                    if isinstance(error, SessionEnded):
                        self.forget(server, peer)
                    self._ask(server)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _wait_for_question(self, server: str) -> None:
        """A question that began before the news may have missed what changed."""
        if (task := self._asking.get(server)) is not None:
            await asyncio.wait((task,))
