"""One call of a tool (or a prompt, a resource, a completion): admitted, sent to its server, settled exactly once.

Promises: what the key's rule judged is what is sent; the intent stands in the books before anything leaves; every way
out settles, also that of a client that leaves, a key that is revoked and a server that dies; nothing of the call is left
behind. A tool call costs its price once the server has answered it; a call that the server refused as malformed or
unknown, or for which it wants more input first, costs nothing.
"""

import asyncio
from collections import Counter
from contextlib import aclosing
from typing import Any, ClassVar

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import Unavailable, UpstreamFailed
from gateway_proxy.core.exchange import Attempt, Exchange, Outcome
from gateway_proxy.core.limiter import Counters
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.mcp.door import Forward
from gateway_proxy.mcp.eras import fit_error, fit_params, fit_result, rename_uris
from gateway_proxy.mcp.errors import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, McpError
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.mirrored import mirror_arguments, passed_on
from gateway_proxy.mcp.versions import is_modern
from gateway_proxy.proxy.failures import CUT_OUTCOMES, cut_error
from gateway_proxy.proxy.mcp.asked import Asked
from gateway_proxy.proxy.mcp.events import pass_on, prepare_stream
from gateway_proxy.proxy.mcp.link import Link, Peer, SessionEnded
from gateway_proxy.proxy.mcp.own_sessions import SESSION_METHODS, OwnSessions
from gateway_proxy.proxy.mcp.revision import FREE
from gateway_proxy.proxy.mcp.sessions import Sessions
from gateway_proxy.proxy.run import Cut, Run
from gateway_proxy.proxy.settle import Settlement
from gateway_proxy.proxy.sweeper import Sweeper
from gateway_proxy.stages.mcp import OPERATION

MAX_RUNNING = 20_000
# Not a set: what a server gives as the code of its error may be anything.
_NOT_BEGUN = (INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS)
_PERHAPS_GONE = frozenset(("upstream_unavailable", "upstream_broken"))
_NOT_SENT = frozenset(("upstream_unavailable", "upstream_auth_failed"))
_REFUSED = 400


class CallTap:
    """What settlement reads of an answered call: one request, and nothing else to count."""

    needs_end: ClassVar[bool] = False

    def __init__(self) -> None:
        self.usage: Usage | None = Usage()
        self.usage_final = self.finished = True
        self.invalid_usage = self.failed = False
        self.reported_model = ""
        self.service_tier: str | None = None
        self.streamed_tokens = 0

    def feed(self, chunk: bytes, /) -> bytes:
        return chunk

    def at_event_boundary(self) -> bool:
        return True

    def close(self) -> bytes:
        return b""


class Calls:
    """One per gateway. `in_use` counts the calls that run at each link."""

    def __init__(
        self,
        settlement: Settlement,
        limiter: Counters,
        clock: Clock,
        sweeper: Sweeper,
        sessions: Sessions,
        own: OwnSessions,
    ) -> None:
        self._own = own
        self.in_use: Counter[Link] = Counter()
        self._settlement = settlement
        self._limiter = limiter
        self._clock = clock
        self._sweeper = sweeper
        self._sessions = sessions

    async def carry(self, asked: Asked, forward: Forward) -> dict[str, Any]:
        """The result, as the client's era has it. Raises GatewayError, and McpError for the server's own error."""
        exchange = asked.exchange
        describe_call(asked, forward)
        if len(self._sweeper.runs) >= MAX_RUNNING:
            raise Unavailable("The gateway is overloaded.", retry_after_ms=1000)
        waiting = asked.revision.pipeline.check_body(exchange)
        if waiting is not None:
            exchange.secret = asked.secret
            await waiting
        run = self._begin(asked)
        try:
            return await self._attempt(run, asked, forward)
        except BaseException:
            # What was admitted and never reached the books was never tried: nothing is owed for it.
            if not exchange.attempts and exchange.lease is not None:
                self._limiter.settle_nanos(exchange.lease, 0)
            raise
        finally:
            self._sweeper.remove(run)
            if asked.session is not None and asked.message.id is not None:
                self._sessions.finish(asked.session, asked.message.id, run)

    def _begin(self, asked: Asked) -> Run:
        now = asyncio.get_running_loop().time()
        dialect = asked.runtime.dialects["openai"]  # of what the relay writes, which has no part in this
        run = Run(asked.exchange, asked.request, dialect, b"", False, asked.takes_events, now)
        if asked.takes_events:
            run.early_head = prepare_stream(asked)
        self._sweeper.add(run)
        if asked.session is not None and asked.message.id is not None:
            self._sessions.begin(asked.session, asked.message.id, run)
        return run

    async def _attempt(self, run: Run, asked: Asked, forward: Forward) -> dict[str, Any]:
        exchange = asked.exchange
        attempt = self._open(exchange)
        try:
            response = await self._ask(run, asked, forward, attempt)
            error = (response.outcome or {}).get("error")
            if error is not None:
                begun = error.get("code") not in _NOT_BEGUN
                self._close(exchange, attempt, Outcome.COMPLETED, owes=begun)
                raise fit_error(error, client=asked.version)
            result = (response.outcome or {}).get("result") or {}
            self._close(
                exchange, attempt, Outcome.COMPLETED, owes=result.get("resultType") != "input_required"
            )
        except McpError:
            self._close(exchange, attempt, Outcome.COMPLETED, owes=False)
            raise
        except UpstreamFailed as failure:
            if failure.code in _PERHAPS_GONE:
                asked.revision.discovery.doubt(forward.called.server)
            attempt.dispatched = attempt.dispatched and failure.code not in _NOT_SENT
            self._close(exchange, attempt, Outcome.UPSTREAM_FAILED)
            raise
        except ConnectionError:  # while it was told what the server says
            self._close(exchange, attempt, Outcome.CLIENT_GONE)
            raise cut_error(Cut.CLIENT_GONE) from None
        except asyncio.CancelledError:
            cut = run.take_cut()
            self._close(exchange, attempt, Outcome.FAILED if cut is None else CUT_OUTCOMES[cut])
            if cut is None:
                raise
            raise cut_error(cut) from None
        finally:
            self._close(exchange, attempt, Outcome.FAILED)  # does nothing where it was closed above
            asked.stream = run.answer
            run.early_head = None
        result = fit_result(result, forward.method, client=asked.version)
        return result if asked.server else rename_uris(forward.called.server, result)

    async def _ask(self, run: Run, asked: Asked, forward: Forward, attempt: Attempt) -> Message:
        """The server's response. A session that it has forgotten is made anew once."""
        revision, called = asked.revision, forward.called
        link, discovery = revision.links[called.server], revision.discovery
        self.in_use[link] += 1
        try:
            for is_last in (False, True):
                peer = await self._agree(asked, forward, link)
                params = fit_params(called.params, client=asked.version, server=peer.version)
                headers = _repeat_arguments(asked, forward) if is_modern(peer.version) else None
                attempt.dispatched = True
                try:
                    async with link.exchange(peer, forward.method.name, params, headers) as exchange:
                        async with aclosing(exchange.messages()) as messages:
                            async for message in messages:
                                if message.kind == "response":
                                    return message
                                if message.kind == "request":
                                    await self._ask_client(run, asked, link, peer, message)
                                else:
                                    await pass_on(run, asked, message)
                except SessionEnded:
                    if peer.is_own and asked.session is not None:
                        self._own.forget(asked.session, called.server, peer)
                    else:
                        discovery.forget(called.server, peer)
                    if is_last or run.answer is not None:
                        raise
            raise AssertionError("unreachable")
        finally:
            self.in_use[link] -= 1
            if asked.questions and asked.session is not None:
                self._own.withdraw(asked.session, asked.questions)

    async def _agree(self, asked: Asked, forward: Forward, link: Link) -> Peer:
        """The shared agreement with the server, or that of this client alone. Raises UpstreamFailed, McpError."""
        server, method = forward.called.server, forward.method.name
        peer = await asked.revision.discovery.peer(server)
        if asked.session is not None:
            peer = await self._own.peer(asked.session, server, link, peer, method)
        if method in SESSION_METHODS and not peer.is_own:
            raise McpError(METHOD_NOT_FOUND, f"Method not found: {method}")
        return peer

    async def _ask_client(self, run: Run, asked: Asked, link: Link, peer: Peer, question: Message) -> None:
        if asked.session is None or not asked.takes_events:
            return
        posed = self._own.pose(asked.session, link, peer, question)
        if posed is not None and posed.id is not None:
            asked.questions.append(posed.id)
            await pass_on(run, asked, posed)

    def _open(self, exchange: Exchange) -> Attempt:
        """Write the intent. Raises Unavailable; then nothing of the attempt remains."""
        lease, bound = exchange.lease, exchange.bound
        assert lease is not None
        target, reserved = exchange.targets[0], 0 if bound is None else bound.nanos
        attempt = Attempt(1, target, lease, reserved, lease.admitted_at)
        self._settlement.open_attempt(exchange, attempt)
        exchange.attempts.append(attempt)
        return attempt

    def _close(
        self, exchange: Exchange, attempt: Attempt, outcome: Outcome, *, owes: bool | None = None
    ) -> None:
        """`owes` says of an answered call whether its price is due; None where no answer came."""
        if attempt.settled_at:
            return
        attempt.outcome = outcome
        if owes is False:
            attempt.status = _REFUSED
        self._settlement.close_attempt(exchange, attempt, CallTap() if owes else None)


def _repeat_arguments(asked: Asked, forward: Forward) -> dict[str, str]:
    """The headers Mcp-Param-* for the server: a modern client's own, which the server judges; for a legacy one they are made."""
    if is_modern(asked.version):
        return passed_on(asked.exchange.headers)
    called = forward.called
    offer = asked.revision.discovery.catalogue.get(called.server)
    tool = None if offer is None else offer.things("tools").get(called.name)
    return {} if tool is None else mirror_arguments(tool.get("inputSchema"), called.params.get("arguments"))


def describe_call(asked: Asked, forward: Forward) -> None:
    """Write into the exchange what stages, books and logs read of a call: `mcp:SERVER` in the place of the provider."""
    called, exchange = forward.called, asked.exchange
    name = f"{called.server}/{called.name}"
    price = FREE
    if forward.method.name == "tools/call":
        prices = asked.revision.prices.get(called.server)
        price = FREE if prices is None else prices.of(called.name)
    target = Target(f"{OPERATION}:{called.server}", called.name, price=price)
    exchange.route = Route(OPERATION, exchange.path, name, stream=False, body=called.params)
    exchange.model = ModelEntry(name, (target,))
    exchange.targets = (target,)
