"""`/mcp` and `/mcp/{server}`: a request's messages → answers, by the gateway itself or by a server.

The handler has authenticated the key and read the body; each request in it is an exchange of its own. Promises: nothing
reaches a server that `mcp.door.plan` did not judge; a foreign Origin or Host, and a key without MCP, get 403 whatever
they ask. Calls themselves belong to `calls.py`, streams without a call to `streams.py`.
Sources: MCP 2026-07-28, basic/transports/streamable-http; 2025-11-25, basic/transports (Streamable HTTP).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import BadExchange, Denied, Forbidden, GatewayError
from gateway_proxy.core.exchange import Exchange, Outcome
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.limiter import Counters
from gateway_proxy.core.money import format_usd
from gateway_proxy.mcp.door import Accept, Forward, plan
from gateway_proxy.mcp.door import Answer as OwnAnswer
from gateway_proxy.mcp.errors import INVALID_REQUEST, McpError
from gateway_proxy.mcp.message import Id, Message, Post, error_answer, parse_post, result_answer, write_json
from gateway_proxy.mcp.mirrored import check_mirrored
from gateway_proxy.mcp.versions import WITH_BATCHES, is_modern, version_of
from gateway_proxy.proxy.answers import Answer, BaseAnswer, header_line
from gateway_proxy.proxy.headers import describe_limits, describe_refusal
from gateway_proxy.proxy.mcp.asked import Asked, Reply
from gateway_proxy.proxy.mcp.calls import Calls
from gateway_proxy.proxy.mcp.events import write_event
from gateway_proxy.proxy.mcp.noting import Notes
from gateway_proxy.proxy.mcp.own_sessions import OwnSessions
from gateway_proxy.proxy.mcp.refusals import as_mcp_error
from gateway_proxy.proxy.mcp.revision import McpRevision
from gateway_proxy.proxy.mcp.sessions import Session, Sessions
from gateway_proxy.proxy.mcp.streams import Streams
from gateway_proxy.proxy.request import ClientRequest
from gateway_proxy.proxy.runtime import Runtime
from gateway_proxy.proxy.settle import Settlement
from gateway_proxy.stages.mcp import check_enabled, check_endpoint

_SESSION = "Mcp-Session-Id"
_VERSION = "MCP-Protocol-Version"
_JSON = "content-type: application/json\r\n"
_ROOT = "/mcp/"
_EVENTS = ("text/event-stream", "*/*")


class Door:
    """One per gateway. `revision` is replaced as a whole by a reload."""

    def __init__(
        self,
        revision: McpRevision,
        calls: Calls,
        sessions: Sessions,
        settlement: Settlement,
        limiter: Counters,
        clock: Clock,
        notes: Notes,
        streams: Streams,
        own: OwnSessions,
    ) -> None:
        self._own = own
        self.revision = revision
        self.streams = streams
        self.calls = calls
        self.sessions = sessions
        self._settlement = settlement
        self._limiter = limiter
        self._clock = clock
        self._notes = notes

    async def answer(
        self, request: ClientRequest, secret: str | None, exchange: Exchange, runtime: Runtime
    ) -> BaseAnswer:
        """Raises GatewayError where the whole request is refused."""
        revision = self.revision
        _check_origin(request, revision.allows_host, runtime.cors_origins)
        policy = exchange.policy
        assert policy is not None
        check_enabled(policy)
        check_endpoint(policy)
        server = exchange.path[len(_ROOT) :]
        await revision.settle()
        asking = _Asking(request, secret, exchange, runtime, revision, server)
        if request.method != "POST":
            return await self._answer_session(asking)
        id: Id | None = None
        try:
            post = parse_post(exchange.body)
            exchange.body = b""  # the parsed messages are the only copy that may leave
            if post.is_batch:
                return await self._answer_batch(asking, post)
            message = post.messages[0]
            id = message.id if message.kind == "request" else None
            asked = self._open(asking, exchange, message)
        except McpError as error:
            return _write(exchange, _refuse(exchange, error, id))
        return await self._answer_one(asked)

    # --- one message

    async def _answer_one(self, asked: Asked) -> BaseAnswer:
        exchange = asked.exchange
        reply = await self._reply(asked)
        if asked.stream is not None and asked.stream.is_started:
            if reply.value is not None:
                asked.stream.send(write_event(reply.value))
            return asked.stream
        if asked.message.kind == "request" and exchange.lease is not None:
            reply.lines += describe_limits(exchange, self._limiter)
        return _write(exchange, reply)

    async def _reply(self, asked: Asked) -> Reply:
        """Never raises for what a client, a server or an administrator did."""
        reply = await self._find_reply(asked)
        self._notes.take(asked, reply)
        return reply

    async def _find_reply(self, asked: Asked) -> Reply:
        id, exchange = asked.message.id, asked.exchange
        try:
            planned = plan(asked.message, asked.version, asked.scope())
            if isinstance(planned, Accept):
                await self._take_message(asked)
                return Reply(202, None)
            assert id is not None
            if isinstance(planned, OwnAnswer):
                result = _advertise(asked, planned.result)
                return Reply(200, result_answer(id, result), self._open_session(asked))
            if isinstance(planned, Forward):
                result = await self.calls.carry(asked, planned)
                exchange.first_byte_ns = exchange.first_byte_ns or self._clock.monotonic_ns()
                return Reply(200, result_answer(id, result), _describe_cost(exchange))
            await self.streams.listen(asked, planned.filters)
            return Reply(200, None)
        except (GatewayError, McpError) as error:
            return _refuse(exchange, error, id)

    def _open(self, asking: "_Asking", exchange: Exchange, message: Message) -> Asked:
        """Raises McpError for a message that contradicts its headers or names no session of this key."""
        headers = asking.request.headers
        version = version_of(message, headers.get(_VERSION))
        modern = is_modern(version)
        check_mirrored(message, _lower(headers), modern=modern)
        asked = Asked(
            asking.request, asking.secret, exchange, asking.runtime, asking.revision, message, version, asking.server,
            None, not asking.is_batch and any(kind in headers.get("Accept", "") for kind in _EVENTS),
        )  # fmt: skip
        if not modern and message.method != "initialize":
            asked.session = self._find_session(asking)
        return asked

    def _find_session(self, asking: "_Asking") -> Session:
        return self.sessions.find(asking.request.headers.get(_SESSION), asking.policy_id, asking.server)

    def _open_session(self, asked: Asked) -> str:
        if asked.message.method != "initialize":
            return ""
        declared = (asked.message.params or {}).get("capabilities")
        id = self.sessions.open(asked.policy.key.id, asked.server, asked.version, declared)
        return header_line(_SESSION.lower(), id)

    async def _take_message(self, asked: Asked) -> None:
        message = asked.message
        if asked.session is None:
            return
        if message.kind == "response":
            await self._own.answer(asked.session, message)
        elif message.method == "notifications/cancelled":
            self.sessions.cancel(asked.session, (message.params or {}).get("requestId"))

    # --- several messages

    async def _answer_batch(self, asking: "_Asking", post: Post) -> BaseAnswer:
        """Each request is an exchange of its own; they run at once. Raises McpError (400) where batches do not exist."""
        exchange = asking.exchange
        asking.is_batch = True
        every: list[Asked] = []
        for message in post.messages:
            version = version_of(message, asking.request.headers.get(_VERSION))
            if version != WITH_BATCHES or message.method == "initialize":
                raise McpError(
                    INVALID_REQUEST, f"Invalid request: batches exist in {WITH_BATCHES} only, and not for initialize",
                    status=400,
                )  # fmt: skip
            every.append(self._open(asking, _split(exchange) if every else exchange, message))
        replies = await asyncio.gather(*(self._reply_apart(asked, exchange) for asked in every))
        answers = [reply.value for reply in replies if reply.value is not None]
        lines = describe_limits(exchange, self._limiter)
        return Answer(
            200 if answers else 202, exchange.answer_lines + lines + _JSON * bool(answers),
            write_json(answers) if answers else b"",
        )  # fmt: skip

    async def _reply_apart(self, asked: Asked, first: Exchange) -> Reply:
        exchange = asked.exchange
        if exchange is first:
            return await self._reply(asked)
        try:
            reply = await self._reply(asked)
            exchange.status = reply.status
            if exchange.outcome is Outcome.OPEN:
                exchange.outcome = exchange.attempts[-1].outcome if exchange.attempts else Outcome.COMPLETED
            return reply
        finally:
            self._settlement.close_exchange(exchange, exchange.lease, self._clock.monotonic_ns())

    # --- legacy sessions

    async def _answer_session(self, asking: "_Asking") -> BaseAnswer:
        exchange = asking.exchange
        headers = asking.request.headers
        if is_modern(headers.get(_VERSION, "")):
            exchange.answer_lines += "allow: POST\r\n"
            raise BadExchange("Use POST for this route.", code="method_not_allowed", status=405)
        try:
            session = self._find_session(asking)
            message = Message("request", None, "GET")
            asked = Asked(
                asking.request, asking.secret, exchange, asking.runtime, asking.revision, message, session.version,
                asking.server, session, True,
            )  # fmt: skip
            asked.scope().check_server()
        except McpError as error:
            return _write(exchange, _refuse(exchange, error, None))
        if asking.request.method == "DELETE":
            self.sessions.end(session)
            self._own.end(session)
            self.streams.end_session(session)
            return Answer(204, exchange.answer_lines, b"")
        await self.streams.open(asked)
        assert asked.stream is not None
        return asked.stream


@dataclass(slots=True)
class _Asking:
    """What all messages of one HTTP request share."""

    request: ClientRequest
    secret: str | None
    exchange: Exchange
    runtime: Runtime
    revision: McpRevision
    server: str
    is_batch: bool = False

    @property
    def policy_id(self) -> str:
        assert self.exchange.policy is not None
        return self.exchange.policy.key.id


def _check_origin(
    request: ClientRequest, allows_host: Callable[[str], bool], cors_origins: frozenset[str]
) -> None:
    """Against DNS rebinding. Raises Forbidden."""
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    if not allows_host(host):
        raise Forbidden(
            "This host name is not served here; add it to [server] allowed_hosts, or set public_url.",
            code="unknown_host",
        )
    if origin is None or origin in cors_origins:
        return
    try:
        parts = urlsplit(origin)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not allows_host(parts.netloc):
        raise Forbidden("Requests of this origin are not served here.", code="origin_not_allowed")


def _split(exchange: Exchange) -> Exchange:
    """An exchange for a further message of the same request."""
    further = Exchange(
        new_id("req"), exchange.method, exchange.path, exchange.operation, exchange.headers, exchange.client_ip,
        exchange.received_at, exchange.started_ns, exchange.dialect,
    )  # fmt: skip
    further.policy, further.trace_id = exchange.policy, exchange.trace_id
    further.client_request_id = exchange.client_request_id
    return further


def _refuse(exchange: Exchange, error: GatewayError | McpError, id: Id | None) -> Reply:
    """The answer to a message that is refused, with what the log says of it."""
    if isinstance(error, GatewayError):
        exchange.error = error
        reply = Reply(error.status, error_answer(id, as_mcp_error(error)), describe_refusal(error))
    else:
        reply = Reply(error.status, error_answer(id, error))
        if error.denied or not exchange.attempts:
            exchange.error = Denied(
                error.message, code="mcp_denied" if error.denied else "mcp_invalid", status=error.status
            )
    if exchange.outcome is Outcome.OPEN:
        exchange.outcome = exchange.attempts[-1].outcome if exchange.attempts else Outcome.DENIED
    return reply


def _write(exchange: Exchange, reply: Reply) -> BaseAnswer:
    lines = exchange.answer_lines + reply.lines
    if reply.value is None:
        return Answer(reply.status, lines, b"")
    return Answer(reply.status, lines + _JSON, write_json(reply.value))


def _advertise(asked: Asked, result: dict[str, Any]) -> dict[str, Any]:
    """The answer to a client's `initialize`, with what its server alone can do in a session."""
    if asked.message.method != "initialize" or not asked.server:
        return result
    peer = asked.revision.discovery.known_peer(asked.server)
    if peer is None:
        return result
    capabilities = dict(result["capabilities"])
    if "logging" in peer.capabilities:
        capabilities["logging"] = {}
    resources = peer.capabilities.get("resources")
    if isinstance(resources, dict) and resources.get("subscribe") is True:
        capabilities["resources"] = {**capabilities["resources"], "subscribe": True}
    return {**result, "capabilities": capabilities}


def _describe_cost(exchange: Exchange) -> str:
    charged = sum(attempt.charged_nanos for attempt in exchange.attempts)
    return f"x-gateway-cost-usd: {format_usd(charged)}\r\n" if charged else ""


def _lower(headers: Any) -> dict[str, str]:
    """By lower-case name; one that was sent twice is joined."""
    lowered: dict[str, str] = {}
    for told, value in headers.items():
        name = told.lower()
        lowered[name] = f"{lowered[name]}, {value}" if name in lowered else value
    return lowered
