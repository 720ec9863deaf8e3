"""Streams on which a client hears what changed, without asking: `subscriptions/listen`, and GET of the legacy era.

Promises: a client is told when what it may see changes, be it a server's lists or the key's own rule, and of updates of
resources whose server its key may use; nothing that it did not ask for. A stream takes no slot and no request of the
key's limits; a key has a bounded number of them, and they end when the key does. A shutdown ends them first.
Sources: MCP 2026-07-28, basic/patterns/subscriptions; 2025-11-25, basic/transports (Listening for Messages).
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from operator import is_
from typing import Any

import orjson

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import GatewayError, RateLimited, Unavailable, UpstreamFailed
from gateway_proxy.core.exchange import Outcome
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.tasks import spawn
from gateway_proxy.mcp.catalogue import Offer
from gateway_proxy.mcp.eras import fit_params
from gateway_proxy.mcp.message import Id, Message, result_answer
from gateway_proxy.mcp.names import join_uri
from gateway_proxy.mcp.scope import Scope
from gateway_proxy.mcp.versions import is_modern
from gateway_proxy.proxy.mcp.asked import Asked
from gateway_proxy.proxy.mcp.changes import LISTEN, SUBSCRIPTION_KEY
from gateway_proxy.proxy.mcp.events import prepare_stream, write_event
from gateway_proxy.proxy.mcp.link import Link, Peer
from gateway_proxy.proxy.mcp.own_sessions import OwnSessions
from gateway_proxy.proxy.mcp.revision import McpRevision
from gateway_proxy.proxy.mcp.sessions import Session
from gateway_proxy.proxy.run import Cut, Run
from gateway_proxy.proxy.sweeper import Sweeper
from gateway_proxy.stages.authenticate import check_status
from gateway_proxy.stages.mcp import check_enabled, check_endpoint

CHECK_SECONDS = 0.5
AGAIN_SECONDS = 2.0
PEER_SECONDS = 2.0
MAX_STREAMS = 64
_CHANGES = {
    "toolsListChanged": ("notifications/tools/list_changed", ("tools",)),
    "promptsListChanged": ("notifications/prompts/list_changed", ("prompts",)),
    "resourcesListChanged": ("notifications/resources/list_changed", ("resources", "resourceTemplates")),
}
_UPDATED = "notifications/resources/updated"


class Streams:
    """One per gateway. `revision` gives that of now: streams outlive reloads."""

    def __init__(
        self,
        sweeper: Sweeper,
        clock: Clock,
        revision: Callable[[], McpRevision],
        find_policy: Callable[[str], KeyPolicy | None],
        own: OwnSessions,
    ) -> None:
        self._own = own
        self._sweeper = sweeper
        self._clock = clock
        self._revision = revision
        self._find_policy = find_policy
        self._open: Counter[str] = Counter()
        self._runs: dict[Run, Asked] = {}
        self._closing = False

    def end_session(self, session: Session) -> None:
        """The client has ended its session, and its streams with it."""
        for run, asked in tuple(self._runs.items()):
            if asked.session == session:
                run.end(Cut.CANCELLED)

    def end_all(self) -> None:
        """For a shutdown; from here on none is opened."""
        self._closing = True
        for run in tuple(self._runs):
            run.end(Cut.SHUTDOWN)

    async def listen(self, asked: Asked, filters: Mapping[str, Mapping[str, Any]]) -> None:
        """Serve a `subscriptions/listen` to its end. Raises GatewayError while it has not begun."""
        changes = [name for name in _CHANGES if any(name in wanted for wanted in filters.values())]
        updates = {server: list(wanted["resourceSubscriptions"]) for server, wanted in filters.items()
                   if "resourceSubscriptions" in wanted}  # fmt: skip
        async with asyncio.timeout(PEER_SECONDS + 1):
            heard = [server for server in updates if await self._can_be_heard(server)]
        uris = [_shown(asked, server, uri) for server in heard for uri in updates[server]]
        honoured: dict[str, Any] = dict.fromkeys(changes, True)
        if uris:
            honoured["resourceSubscriptions"] = uris
        stream = _Stream(asked, changes, asked.message.id)
        await self._hold(stream, {server: updates[server] for server in heard}, honoured)

    async def open(self, asked: Asked) -> None:
        """Serve a legacy GET to its end. Raises GatewayError while it has not begun."""
        await self._hold(_Stream(asked, list(_CHANGES), None), {}, None)

    async def _hold(
        self, stream: "_Stream", updates: Mapping[str, list[str]], honoured: dict[str, Any] | None
    ) -> None:
        asked, key_id = stream.asked, stream.asked.policy.key.id
        if self._closing:
            raise Unavailable("The gateway is shutting down.", retry_after_ms=1000)
        if self._open[key_id] >= MAX_STREAMS:
            raise RateLimited(
                f"This API key has {MAX_STREAMS} MCP streams open already.",
                gateway={"limit": "mcp_streams"},
                retry_after_ms=1000,
            )
        loop = asyncio.get_running_loop()
        run = Run(
            asked.exchange, asked.request, asked.runtime.dialects["openai"], b"", False, True, loop.time()
        )
        answer = run.answer = asked.stream = prepare_stream(asked)
        answer.start_now(asked.request)
        self._open[key_id] += 1
        self._runs[run] = asked
        self._sweeper.add(run)
        listening = [spawn(self._hear(stream, run, server, uris), f"mcp updates of {server}")
                     for server, uris in updates.items()]  # fmt: skip
        detach: Callable[[], None] = _do_nothing
        try:
            if honoured is not None:
                stream.tell(run, "notifications/subscriptions/acknowledged", {"notifications": honoured})
            if asked.session is not None:
                detach = self._own.attach(asked.session, partial(self._tell_own, stream, run))
            await self._watch(stream, run)
        except asyncio.CancelledError:
            cut = run.take_cut()
            if cut is None:
                raise
            asked.exchange.outcome = Outcome.REVOKED if cut is Cut.REVOKED else Outcome.COMPLETED
            if cut is Cut.SHUTDOWN and stream.id is not None:
                meta = {"_meta": {SUBSCRIPTION_KEY: stream.id}}
                answer.send(write_event(result_answer(stream.id, {"resultType": "complete", **meta})))
        except GatewayError:
            asked.exchange.outcome = Outcome.REVOKED  # the key has ended, or has lost MCP
        finally:
            detach()
            for task in listening:
                task.cancel()
            self._sweeper.remove(run)
            self._runs.pop(run, None)
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]

    async def _watch(self, stream: "_Stream", run: Run) -> None:
        """Tell what changes, for ever. Raises GatewayError once the key may not listen any more."""
        policy, offers = stream.asked.policy, self._offers()
        before = stream.digest(policy, offers)
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            now = self._find_policy(policy.key.id) or policy
            check_status(now, self._clock.now_ms())
            check_enabled(now)
            check_endpoint(now)
            found = self._offers()
            if now is policy and len(found) == len(offers) and all(map(is_, found, offers)):
                continue
            policy, offers = now, found
            after = stream.digest(policy, offers)
            for change, told in before.items():
                if after[change] != told:
                    stream.tell(run, _CHANGES[change][0], {})
            before = after

    def _tell_own(
        self, stream: "_Stream", run: Run, server: str, link: Link, peer: Peer, message: Message
    ) -> None:
        """Hand on what a server says in the client's own session beside its calls."""
        session = stream.asked.session
        if session is None or not stream.may_hear(self._find_policy, server):
            return
        params = dict(message.params or {})
        if message.kind == "request":
            posed = self._own.pose(session, link, peer, message)
            if posed is not None and run.answer is not None:
                run.answer.send(write_event(posed.value()))
        elif message.method == _UPDATED and isinstance(params.get("uri"), str):
            stream.tell(run, _UPDATED, {**params, "uri": _shown(stream.asked, server, params["uri"])})
        elif message.method == "notifications/message":
            stream.tell(run, message.method, params)

    def _offers(self) -> tuple[Offer, ...]:
        return tuple(self._revision().discovery.catalogue.values())

    async def _can_be_heard(self, server: str) -> bool:
        """Whether the server tells of updates on a stream of the gateway's own: only those of the modern era do."""
        try:
            async with asyncio.timeout(PEER_SECONDS):
                return is_modern((await self._revision().discovery.peer(server)).version)
        except (UpstreamFailed, TimeoutError):
            return False

    async def _hear(self, stream: "_Stream", run: Run, server: str, uris: list[str]) -> None:
        """Hand on the updates of these resources; a broken stream of the server is opened again."""
        wanted = {"notifications": {"resourceSubscriptions": uris}}
        while True:
            revision = self._revision()
            link = revision.links.get(server)
            if link is not None and stream.may_hear(self._find_policy, server):
                with contextlib.suppress(UpstreamFailed):
                    peer = await revision.discovery.peer(server)
                    params = fit_params(wanted, server=peer.version)
                    async with link.exchange(peer, LISTEN, params) as exchange:
                        async with contextlib.aclosing(exchange.messages()) as messages:
                            async for message in messages:
                                uri = (message.params or {}).get("uri")
                                if message.method == _UPDATED and uri in uris:
                                    if not stream.may_hear(self._find_policy, server):
                                        break
                                    stream.tell(run, _UPDATED, {"uri": _shown(stream.asked, server, uri)})
            await asyncio.sleep(AGAIN_SECONDS)


class _Stream:
    """What one client wants to hear; `id` is that of its request, None for a GET."""

    def __init__(self, asked: Asked, changes: list[str], id: Id | None) -> None:
        self.asked = asked
        self.id = id
        self._changes = changes

    def digest(self, policy: KeyPolicy, offers: tuple[Offer, ...]) -> dict[str, int]:
        """What stands for each list that the client wants to hear of, as its key sees it."""
        scope = Scope(policy, {offer.server: offer for offer in offers}, self.asked.server)
        return {
            change: hash(tuple(orjson.dumps(scope.list_things(kind)[kind]) for kind in _CHANGES[change][1]))
            for change in self._changes
        }

    def may_hear(self, find_policy: Callable[[str], KeyPolicy | None], server: str) -> bool:
        policy = self.asked.policy
        return (find_policy(policy.key.id) or policy).allows_server(server)

    def tell(self, run: Run, method: str, params: dict[str, Any]) -> None:
        """Hand a notification to the socket; one that reads nothing is cut off by the sweeper."""
        if self.id is not None:
            params = {**params, "_meta": {SUBSCRIPTION_KEY: self.id}}
        value: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params:
            value["params"] = params
        answer = run.answer
        if answer is not None and not answer.is_paused:
            answer.send(write_event(value))
            run.last_write_at = asyncio.get_running_loop().time()


def _shown(asked: Asked, server: str, uri: str) -> str:
    return uri if asked.server else join_uri(server, uri)


def _do_nothing() -> None:
    """There is nothing to undo."""
