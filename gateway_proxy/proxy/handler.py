"""The data plane's front door: request → exchange → pipeline → relay → answer, and one log row whatever happens."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp.http import HttpVersion11

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import BadExchange, GatewayError, NotRemembered, Unavailable
from gateway_proxy.core.exchange import Exchange, Outcome
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.limiter import Limiter, WaitingLimiter
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.proxy.answers import Answer, BaseAnswer, header_line
from gateway_proxy.proxy.body import ClientGone, check_head, read_body
from gateway_proxy.proxy.credentials import two_credentials
from gateway_proxy.proxy.edge import check_request_line
from gateway_proxy.proxy.head_facts import HeadFacts
from gateway_proxy.proxy.headers import describe_limits, describe_refusal
from gateway_proxy.proxy.mcp.refusals import write_refusal
from gateway_proxy.proxy.relay import Relay
from gateway_proxy.proxy.request import ClientRequest, FrontRequest
from gateway_proxy.proxy.run import Cut, Run
from gateway_proxy.proxy.runtime import Runtime
from gateway_proxy.proxy.settle import Settlement
from gateway_proxy.proxy.sweeper import Sweeper
from gateway_proxy.proxy.trace import new_trace_id

# Bound once: looking up an enumeration's member costs a descriptor call each time.
_OPEN = Outcome.OPEN
_COMPLETED = Outcome.COMPLETED
_DENIED = Outcome.DENIED
_CLIENT_GONE = Outcome.CLIENT_GONE
_FAILED = Outcome.FAILED
_VARY = "vary: Origin\r\n"
_BELOW = ("/v1/", "/v1beta/", "/openai/", "/mcp/")
_AT = ("/v1", "/v1beta", "/openai", "/mcp")
_CORS = "access-control-expose-headers: *\r\n" + _VARY
log = logging.getLogger("gateway_proxy.handler")

Query = Callable[[Exchange, Runtime], BaseAnswer]  # a GET that the gateway answers itself
Act = Callable[[Exchange, Runtime], Awaitable[BaseAnswer]]  # a POST that it carries out itself
McpDoor = Callable[[ClientRequest, str | None, Exchange, Runtime], Awaitable[BaseAnswer]]
KeepBodies = Callable[
    [Exchange, BaseAnswer | None], None
]  # of an exchange that stands in the log; never raises
MAX_RUNNING = 20_000


class DataPlane:
    """Serves the API of each dialect. `runtime` is replaced as a whole by a reload; running exchanges keep theirs."""

    def __init__(
        self, runtime: Runtime, settlement: Settlement, limiter: Limiter | WaitingLimiter, clock: Clock
    ) -> None:
        self.runtime = runtime
        self.sweeper = Sweeper()
        self.queries: dict[str, Query] = {}  # exact path → GET
        self.prefix_queries: dict[str, Query] = {}  # path prefix → GET, for /v1/models/{id}
        self.acts: dict[str, Act] = {}  # exact path → POST
        self.mcp: McpDoor | None = None
        self.recall: Callable[[tuple[str, ...]], Awaitable[None]] = _recall_nothing
        self.form_folder: Path | None = None  # where large forms wait on disk; None: in memory
        self.refresh: Callable[[KeyPolicy], Awaitable[None]] | None = None  # have a key's counters told anew
        self.is_barred: Callable[[bool], bool] = lambda strict: (
            False
        )  # this gateway, for keys that are strict or not
        self.explain_bar: Callable[[], GatewayError] = lambda: Unavailable("This gateway may not serve now.")
        self.begin_trace: Callable[[Exchange], None] | None = None
        self.keep_bodies: KeepBodies | None = None
        self._settlement = settlement
        self._limiter = limiter
        self._clock = clock
        self.relay = Relay(settlement, limiter, clock)

    def match(self, path: str) -> bool:
        """Whether a path belongs to the data plane."""
        return path.startswith(_BELOW) or path in _AT

    async def handle(self, request: ClientRequest) -> BaseAnswer:
        """Every request that `match`es, whatever its method. Never raises for what a client did."""
        runtime = self.runtime
        facts = request.facts if type(request) is FrontRequest else None
        if facts is None:
            facts = HeadFacts(request.raw_path, request.headers)
            if type(request) is FrontRequest:
                request.keep_facts(facts)
        exchange = self._open(request, facts, runtime)
        answer: BaseAnswer | None = None
        try:
            answer = await self._answer(request, facts, exchange, runtime)
            exchange.status = answer.status
            if exchange.outcome is _OPEN:
                exchange.outcome = exchange.attempts[-1].outcome if exchange.attempts else _COMPLETED
            return answer
        except GatewayError as error:
            answer = self._refuse(exchange, error, runtime)
            return answer
        except ClientGone:
            exchange.outcome, exchange.status = _CLIENT_GONE, 499
            answer = Answer(499, "", b"")
            answer.force_close()
            return answer
        except asyncio.CancelledError:
            exchange.outcome = _FAILED
            raise
        except Exception as error:  # a fault of ours: told in the log, not to the client
            log.exception("a fault while serving %s", exchange.id)
            exchange.outcome = _FAILED
            failed = GatewayError("The gateway failed on this request.", detail=type(error).__name__)
            answer = self._refuse(exchange, failed, runtime)
            return answer
        finally:
            is_logged = self._settlement.close_exchange(exchange, exchange.lease, self._clock.monotonic_ns())
            if self.keep_bodies is not None and is_logged:
                self.keep_bodies(exchange, answer)

    def _open(self, request: ClientRequest, facts: HeadFacts, runtime: Runtime) -> Exchange:
        clock = self._clock
        exchange = Exchange(
            new_id("req"),
            request.method,
            facts.path,
            facts.operation,
            request.headers,
            None,
            clock.now_ms(),
            clock.monotonic_ns(),
            facts.dialect,
        )
        if facts.dialect == "anthropic":
            exchange.answer_lines += f"request-id: {exchange.id}\r\n"
        exchange.content_type = facts.content_type
        if facts.trace is None:
            exchange.trace_id = new_trace_id()
        else:
            exchange.trace_id, exchange.parent_span, exchange.trace_flags = facts.trace
            exchange.trace_state = facts.trace_state
        if self.begin_trace is not None:
            self.begin_trace(exchange)
        if facts.client_request_id:
            exchange.client_request_id = facts.client_request_id
        origin = facts.origin
        if origin is not None and origin in runtime.cors_origins:
            exchange.answer_lines += header_line("access-control-allow-origin", origin) + _CORS
        return exchange

    async def _answer(
        self, request: ClientRequest, facts: HeadFacts, exchange: Exchange, runtime: Runtime
    ) -> BaseAnswer:
        query = act = None
        is_plain = facts.is_plain and type(request) is FrontRequest and request.method == "POST"
        if type(request) is not FrontRequest:
            check_request_line(request)
        exchange.client_ip = runtime.client_ip.find(request.remote, request.headers)
        if not is_plain:  # else its head was judged when it first came
            if request.method == "OPTIONS" and exchange.answer_lines.endswith(_VARY):
                return _preflight(exchange)
            query, act = self._find_own(request, facts, exchange)
        exchange.secret = facts.secret
        if (waiting := runtime.pipeline.check_head(exchange)) is not None:
            await _wait(waiting, exchange, facts)
        policy = exchange.policy
        assert policy is not None
        if self.is_barred(policy.strict):
            raise self.explain_bar()
        if query is not None:
            if self.refresh is not None:
                await self.refresh(policy)
            return query(exchange, runtime)
        if len(self.sweeper.runs) >= MAX_RUNNING:
            raise Unavailable("The gateway is overloaded.", retry_after_ms=1000)
        content = request.content
        if is_plain and not content.missing and content.length <= runtime.max_body_bytes:
            exchange.body = content.read_nowait()
        else:
            await self._read_body(request, facts, exchange, runtime)
        if act is not None:
            return await act(exchange, runtime)
        if exchange.operation == "mcp" and self.mcp is not None:
            return await self.mcp(request, facts.secret, exchange, runtime)
        try:
            if (waiting := runtime.pipeline.check_body(exchange)) is not None:
                await _wait(waiting, exchange, facts)
        except NotRemembered as missing:
            await self.recall(missing.ids)
            exchange.recalled, exchange.secret = True, facts.secret
            runtime.pipeline.check_again(exchange)
            if (waiting := runtime.pipeline.check_body(exchange)) is not None:
                await _wait(waiting, exchange, facts)
        return await self._relay_admitted(request, facts.upward, exchange, runtime)

    def _find_own(
        self, request: ClientRequest, facts: HeadFacts, exchange: Exchange
    ) -> tuple[Query | None, Act | None]:
        """What the gateway itself does for this request; neither where it is for a provider. Raises BadExchange."""
        operation = exchange.operation
        query = None if operation else self._find_query(exchange.path)
        act = None if operation else self.acts.get(exchange.path)
        if not operation and query is None and act is None:
            raise _no_route(exchange)
        methods = facts.methods if operation else "POST" if act is not None else "GET"
        if request.method != methods and request.method not in methods.split(", "):
            if query is not None and request.method == "POST" and not facts.methods:
                raise _no_route(exchange)
            raise _wrong_method(exchange, methods)
        if facts.secrets_differ:
            raise two_credentials()
        return query, act

    async def _read_body(
        self, request: ClientRequest, facts: HeadFacts, exchange: Exchange, runtime: Runtime
    ) -> None:
        announced = request.content.length if type(request) is FrontRequest else facts.body_length
        check_head(facts, announced, runtime.max_body_bytes)
        if facts.expects is not None:
            _answer_expectation(request, facts.expects)
        folder = self.form_folder if facts.is_form else None
        is_here = request.content.is_eof()
        exchange.body = await read_body(request, runtime.max_body_bytes, folder)
        if not is_here:  # an upload takes its time, and a key that was revoked meanwhile has no business here
            exchange.secret = facts.secret
            runtime.pipeline.check_again(exchange)

    async def _relay_admitted(
        self, request: ClientRequest, upward: bytes, exchange: Exchange, runtime: Runtime
    ) -> BaseAnswer:
        route, model, policy = exchange.route, exchange.model, exchange.policy
        assert route is not None and model is not None and policy is not None
        on_disconnect = model.on_disconnect
        drains = on_disconnect == "drain" or (on_disconnect == "auto" and bool(policy.budgets))
        run = Run(
            exchange,
            request,
            runtime.dialects[exchange.dialect],
            upward,
            drains,
            route.stream and not route.as_array,
            asyncio.get_running_loop().time(),
            request.protocol.task if type(request) is FrontRequest else None,
        )
        self.sweeper.add(run)
        try:
            answer = await self.relay.relay(run, runtime)
            if run.cut is Cut.CLIENT_GONE or run.gone_at:
                exchange.outcome = _CLIENT_GONE
            return answer
        except BaseException:
            # What was admitted and never reached the books was never tried: nothing is owed for it.
            unopened = [attempt.lease for attempt in exchange.attempts if not attempt.settled_at]
            for lease in unopened if exchange.attempts else [exchange.lease]:
                if lease is not None:
                    self._limiter.settle_nanos(lease, 0)
            raise
        finally:
            self.sweeper.remove(run)

    def _find_query(self, path: str) -> Query | None:
        query = self.queries.get(path)
        if query is None:
            for prefix, candidate in self.prefix_queries.items():
                if path.startswith(prefix) and len(path) > len(prefix):
                    return candidate
        return query

    def _refuse(self, exchange: Exchange, error: GatewayError, runtime: Runtime) -> BaseAnswer:
        exchange.error, exchange.status = error, error.status
        if exchange.outcome is _OPEN:
            exchange.outcome = exchange.attempts[-1].outcome if exchange.attempts else _DENIED
        lines = exchange.answer_lines + describe_limits(exchange, self._limiter) + describe_error(error)
        if exchange.dialect == "mcp":
            body = write_refusal(error)
        else:
            body = runtime.dialects[exchange.dialect].error_body(error, exchange.id)
        answer = Answer(error.status, lines, body)
        if (
            isinstance(error, BadExchange)
            and error.status in (400, 408, 413, 415, 501)
            and exchange.route is None
        ):
            answer.force_close()  # the body was not, or cannot be, read to its end
        return answer


async def _wait(waiting: Awaitable[None], exchange: Exchange, facts: HeadFacts) -> None:
    exchange.secret = facts.secret  # the key is authenticated anew after the wait
    await waiting


async def _recall_nothing(ids: tuple[str, ...]) -> None:
    """Where there is no store, what is not in memory is unknown."""


def describe_error(error: GatewayError) -> str:
    """The header lines of a refusal of our own."""
    return f"content-type: application/json\r\n{describe_refusal(error)}"


def _answer_expectation(request: ClientRequest, expectation: str) -> None:
    """RFC 9110 section 10.1.1: the client waits for this line before it sends its body."""
    if expectation.lower() != "100-continue":
        raise BadExchange("The expectation cannot be met.", code="expectation_failed", status=417)
    if request.version >= HttpVersion11 and not request.content.is_eof() and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _no_route(exchange: Exchange) -> BadExchange:
    return BadExchange(
        f"There is no route '{exchange.path}' on this gateway.", code="route_not_found", status=404
    )


def _wrong_method(exchange: Exchange, methods: str) -> BadExchange:
    exchange.answer_lines += header_line("allow", methods)
    return BadExchange(f"Use {methods} for this route.", code="method_not_allowed", status=405)


def _preflight(exchange: Exchange) -> BaseAnswer:
    wanted = exchange.headers.get("Access-Control-Request-Headers", "authorization, content-type")
    lines = (
        f"{exchange.answer_lines}access-control-allow-methods: GET, POST, DELETE, OPTIONS\r\n"
        f"{header_line('access-control-allow-headers', wanted)}access-control-max-age: 600\r\n"
    )
    return Answer(204, lines, b"")
