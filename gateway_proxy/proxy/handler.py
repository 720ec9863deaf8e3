"""The data plane's front door: request → exchange → pipeline → relay → answer, and one log row whatever happens."""

import asyncio
import logging
from collections.abc import Callable

from aiohttp.http import HttpVersion11

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import BadExchange, GatewayError, Unavailable
from gateway_proxy.core.exchange import Exchange, Outcome
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.limiter import Limiter
from gateway_proxy.proxy.answers import Answer, BaseAnswer, Headers
from gateway_proxy.proxy.body import ClientGone, check_head, read_body
from gateway_proxy.proxy.credentials import find_secret
from gateway_proxy.proxy.edge import check_request_line
from gateway_proxy.proxy.headers import describe_limits, is_plain
from gateway_proxy.proxy.relay import Relay
from gateway_proxy.proxy.request import ClientRequest
from gateway_proxy.proxy.routes import OPERATIONS
from gateway_proxy.proxy.run import Cut, Run
from gateway_proxy.proxy.runtime import Runtime
from gateway_proxy.proxy.settle import Settlement
from gateway_proxy.proxy.sweeper import Sweeper
from gateway_proxy.proxy.trace import MAX_TRACESTATE_CHARACTERS, new_trace_id, parse_traceparent

# Bound once: looking up an enumeration's member costs a descriptor call each time.
_OPEN = Outcome.OPEN
_COMPLETED = Outcome.COMPLETED
_DENIED = Outcome.DENIED
_CLIENT_GONE = Outcome.CLIENT_GONE
_FAILED = Outcome.FAILED
log = logging.getLogger("gateway_proxy.handler")

Query = Callable[[Exchange, Runtime], BaseAnswer]  # a GET that the gateway answers itself
MAX_CLIENT_ID_CHARACTERS = 128
MAX_RUNNING = 20_000


class DataPlane:
    """Serves `/v1`. `runtime` is replaced as a whole by a reload; running exchanges keep theirs."""

    def __init__(self, runtime: Runtime, settlement: Settlement, limiter: Limiter, clock: Clock) -> None:
        self.runtime = runtime
        self.sweeper = Sweeper()
        self.queries: dict[str, Query] = {}  # exact path → GET
        self.prefix_queries: dict[str, Query] = {}  # path prefix → GET, for /v1/models/{id}
        self.is_stale: Callable[[bool], bool] = lambda strict: False
        self._settlement = settlement
        self._limiter = limiter
        self._clock = clock
        self.relay = Relay(settlement, limiter, clock)

    def match(self, path: str) -> bool:
        """Whether a path belongs to the data plane."""
        return path.startswith("/v1/") or path == "/v1"

    async def handle(self, request: ClientRequest) -> BaseAnswer:
        """Every request below /v1, whatever its method. Never raises for what a client did."""
        runtime = self.runtime
        exchange = self._open(request, runtime)
        try:
            answer = await self._answer(request, exchange, runtime)
            exchange.status = answer.status
            if exchange.outcome is _OPEN:
                exchange.outcome = exchange.attempts[-1].outcome if exchange.attempts else _COMPLETED
            return answer
        except GatewayError as error:
            return self._refuse(exchange, error, runtime)
        except ClientGone:
            exchange.outcome, exchange.status = _CLIENT_GONE, 499
            answer = Answer(499, [], b"")
            answer.force_close()
            return answer
        except asyncio.CancelledError:
            exchange.outcome = _FAILED
            raise
        except Exception as error:  # a fault of ours: told in the log, not to the client
            log.exception("a fault while serving %s", exchange.id)
            exchange.outcome = _FAILED
            return self._refuse(
                exchange,
                GatewayError("The gateway failed on this request.", detail=type(error).__name__),
                runtime,
            )
        finally:
            self._settlement.close_exchange(exchange, exchange.lease, self._clock.monotonic_ns())

    def _open(self, request: ClientRequest, runtime: Runtime) -> Exchange:
        headers = request.headers
        path = request.raw_path
        operation = OPERATIONS.get(path)
        if operation is None:
            path = path.partition("?")[0]
            operation = OPERATIONS.get(path, "")
        clock = self._clock
        exchange = Exchange(
            new_id("req"),
            request.method,
            path,
            operation,
            headers,
            None,
            clock.now_ms(),
            clock.monotonic_ns(),
        )
        exchange.content_type = headers.get("Content-Type", "")
        traceparent = headers.get("traceparent")
        trace = None if traceparent is None else parse_traceparent(traceparent)
        if trace is None:
            exchange.trace_id = new_trace_id()
        else:
            exchange.trace_id, exchange.parent_span, exchange.trace_flags = trace
            state = headers.get("tracestate", "")
            if len(state) <= MAX_TRACESTATE_CHARACTERS and is_plain(state):
                exchange.trace_state = state
        client_id = headers.get("x-request-id")
        if client_id is not None and len(client_id) <= MAX_CLIENT_ID_CHARACTERS and is_plain(client_id):
            exchange.client_request_id = client_id
        if runtime.cors_origins and (origin := headers.get("Origin")) in runtime.cors_origins:
            exchange.answer_headers += [
                ("access-control-allow-origin", origin),
                ("access-control-expose-headers", "*"),
                ("vary", "Origin"),
            ]
        return exchange

    async def _answer(self, request: ClientRequest, exchange: Exchange, runtime: Runtime) -> BaseAnswer:
        check_request_line(request)
        exchange.client_ip = runtime.client_ip.find(request.remote, request.headers)
        operation = exchange.operation
        query = None if operation else self._find_query(exchange.path)
        if request.method == "OPTIONS" and exchange.answer_headers[-1][0] == "vary":
            return _preflight(exchange)
        if not operation and query is None:
            raise BadExchange(
                f"There is no route '{exchange.path}' on this gateway.", code="route_not_found", status=404
            )
        if request.method != ("POST" if operation else "GET"):
            exchange.answer_headers.append(("allow", "POST" if operation else "GET"))
            raise BadExchange(
                f"Use {'POST' if operation else 'GET'} for this route.", code="method_not_allowed", status=405
            )
        exchange.secret = find_secret(request.headers)
        runtime.pipeline.check_head(exchange)
        policy = exchange.policy
        assert policy is not None
        if self.is_stale(policy.key.strict):
            raise Unavailable(
                "The gateway has been cut off from its store for too long.",
                code="store_stale",
                retry_after_ms=5000,
            )
        if query is not None:
            return query(exchange, runtime)
        check_head(request, runtime.max_body_bytes)
        if len(self.sweeper.runs) >= MAX_RUNNING:
            raise Unavailable("The gateway is overloaded.", retry_after_ms=1000)
        if "Expect" in request.headers:
            _answer_expectation(request)
        exchange.body = await read_body(request, runtime.max_body_bytes)
        runtime.pipeline.check_body(exchange)
        return await self._relay_admitted(request, exchange, runtime)

    async def _relay_admitted(
        self, request: ClientRequest, exchange: Exchange, runtime: Runtime
    ) -> BaseAnswer:
        route, model, policy = exchange.route, exchange.model, exchange.policy
        assert route is not None and model is not None and policy is not None
        on_disconnect = model.on_disconnect
        drains = on_disconnect == "drain" or (on_disconnect == "auto" and policy.budget_rule is not None)
        run = Run(exchange, request, drains, route.stream, asyncio.get_running_loop().time())
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
        headers = list(exchange.answer_headers)
        headers += describe_limits(exchange, self._limiter)
        answer = Answer(error.status, headers + describe_error(error), runtime.dialect.error_body(error))
        if isinstance(error, BadExchange) and error.status in (400, 408, 413, 415) and exchange.route is None:
            answer.force_close()  # the body was not, or cannot be, read to its end
        return answer


def describe_error(error: GatewayError) -> Headers:
    """The headers of a refusal of our own."""
    headers = [("content-type", "application/json"), ("x-gateway-error", error.code)]
    if error.status == 401:
        headers.append(("www-authenticate", "Bearer"))
    if error.retry_after_ms is not None:
        headers.append(("retry-after", str(-(-error.retry_after_ms // 1000))))
        headers.append(("retry-after-ms", str(error.retry_after_ms)))
    if error.should_retry is False:
        headers.append(("x-should-retry", "false"))
    return headers


def _answer_expectation(request: ClientRequest) -> None:
    """RFC 9110 section 10.1.1: the client waits for this line before it sends its body."""
    if request.headers["Expect"].lower() != "100-continue":
        raise BadExchange("The expectation cannot be met.", code="expectation_failed", status=417)
    if request.version >= HttpVersion11 and not request.content.is_eof() and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _preflight(exchange: Exchange) -> BaseAnswer:
    headers = [
        *exchange.answer_headers,
        ("access-control-allow-methods", "GET, POST, OPTIONS"),
        (
            "access-control-allow-headers",
            exchange.headers.get("Access-Control-Request-Headers", "authorization, content-type"),
        ),
        ("access-control-max-age", "600"),
    ]
    return Answer(204, headers, b"")
