"""The strict edge: our own front for plain requests, and aiohttp's server, made strict, for all others.

A request head must be complete within 10 s. Odd HTTP versions, absolute-form and asterisk targets, dot
segments, control characters and encoded separators in the path, and malformed heads get a clear 400 and a
closed connection; so do targets (414) and headers (431) that are too large, and transfer codings but chunked (501).
Nothing of the request is echoed or logged.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import RequestHandler

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.answers import BaseAnswer
from gateway_proxy.proxy.front import (
    HEAD_SECONDS,
    HEAD_TIMEOUT,
    KEEP_ALIVE_SECONDS,
    LINGER_SECONDS,
    Dispatch,
    FrontConnection,
    Fronts,
)
from gateway_proxy.proxy.request import ClientRequest

log = logging.getLogger("gateway_proxy.edge")

_MAX_TARGET_BYTES = 8190
_MAX_FIELD_BYTES = 16380
_TOO_MANY = "Too many headers received"  # aiohttp's word for it
_HIDDEN_CHARACTERS = ("%2e", "%5c", "%00", "%25")


def check_request_line(request: ClientRequest) -> None:
    """Raises BadExchange for targets and versions that a later hop could read differently than we do."""
    if not isinstance(request, web.BaseRequest):
        return  # our own front takes nothing of the kind
    version = request.version
    if version not in (HttpVersion11, HttpVersion10):
        raise BadExchange("Speak HTTP/1.1 or HTTP/1.0.", code="unsupported_http_version")
    target = request._message.path
    if not target.startswith("/"):
        raise BadExchange("The request target must begin with '/'.", code="invalid_target")
    _check_framing(request)
    path = target.partition("?")[0]
    if (
        "//" in path
        or "\\" in path
        or ";" in path
        or "#" in target
        or not path.isascii()
        or not path.isprintable()
        or ("%" in path and _hides_characters(path.lower()))
        or any(segment in (".", "..") for segment in path.split("/"))
    ):
        raise BadExchange("The request path is not in its plain form.", code="invalid_target")


def _hides_characters(path: str) -> bool:
    # A model's name is one segment, and SDKs encode the slash of "provider/model" in it.
    may_hold_slash = path.startswith("/v1/models/")
    return any(code in path for code in _HIDDEN_CHARACTERS) or ("%2f" in path and not may_hold_slash)


def _check_framing(request: web.BaseRequest) -> None:
    """Raises BadExchange where hops may differ on what the head says, or where the request ends."""
    message = request._message
    if request.method in ("GET", "HEAD") and request.body_exists:
        raise BadExchange("A request of this method has no body.", code="unexpected_body")
    if message.chunked and request.version < HttpVersion11:  # RFC 9112 section 6.1
        raise BadExchange("HTTP/1.0 knows no Transfer-Encoding.", code="invalid_request")
    if message.chunked:
        _check_codings(request.headers.getall("Transfer-Encoding", ()))
    for _, value in message.raw_headers:
        if not value.isascii():
            try:
                value.decode()
            except UnicodeDecodeError:
                raise BadExchange(
                    "A request header is neither ASCII nor UTF-8.", code="invalid_header"
                ) from None


def _check_codings(values: Sequence[str]) -> None:
    """RFC 9112 section 6.1: chunked comes last, once, and of what it would have to be undone before we know nothing."""
    codings = [coding.strip(" \t").lower() for value in values for coding in value.split(",")]
    if codings == ["chunked"]:
        return
    if codings.count("chunked") > 1:
        raise BadExchange("A body is chunked once.", code="invalid_request")
    raise BadExchange(
        "Send the request body without a transfer coding but chunked.",
        code="unsupported_transfer_coding",
        status=501,
    )


def _refusal_of(error: BaseException | None) -> int:
    """The status for a head that aiohttp could not read: RFC 9110 section 15.5.15, RFC 6585 section 5."""
    if isinstance(error, LineTooLong):
        return 414 if _MAX_TARGET_BYTES in error.args else 431
    return 431 if isinstance(error, BadHttpMessage) and error.message == _TOO_MANY else 400


class StrictProtocol(RequestHandler):
    """One client connection, with a deadline for each head and errors of our own."""

    __slots__ = ("_first_head_seconds", "_head_deadline", "_heard", "_refuse")

    def __init__(self, manager: "EdgeServer", first_head_seconds: float, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._refuse = manager.refuse
        self._first_head_seconds = first_head_seconds
        self._head_deadline: asyncio.TimerHandle | None = None
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._arm(self._first_head_seconds)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)
        waiter = self._waiter
        if waiter is None or waiter.done():
            if self._head_deadline is not None and (self._messages or self._current_request is not None):
                self._head_deadline.cancel()
                self._head_deadline = None
        elif self._head_deadline is None:
            self._arm(HEAD_SECONDS)  # the first bytes of the next head on a kept connection

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
        super().connection_lost(exc)

    def _arm(self, seconds: float) -> None:
        self._head_deadline = self._loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._head_deadline = None
        waiter = self._waiter
        if self.transport is None or waiter is None or waiter.done():
            return
        if self._heard:
            self.transport.write(HEAD_TIMEOUT)
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            log.error("unhandled error while answering", exc_info=exc)
        if request._payload_writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        answer = self._refuse(_refusal_of(exc) if status == 400 else status)
        answer.force_close()
        return answer


class EdgeServer(web.Server):
    """aiohttp's low-level server with strict connections, behind our own front."""

    def __init__(
        self,
        dispatch: Dispatch,
        refuse: Callable[[int], BaseAnswer],
        serves: Callable[[str], bool],
        **kwargs: Any,
    ) -> None:
        super().__init__(dispatch, **kwargs)
        self.refuse = refuse
        self._fronts = Fronts(dispatch, refuse, serves, self._take_over)

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override]  # the factory that listening sockets call
        return FrontConnection(self._fronts, self._loop)

    def _take_over(
        self, transport: asyncio.Transport, data: bytes, first_head_seconds: float
    ) -> asyncio.Protocol:
        handler = StrictProtocol(self, first_head_seconds, loop=self._loop, **self._kwargs)
        handler.connection_made(transport)
        transport.set_protocol(handler)
        handler.data_received(data)
        return handler

    def wind_down(self, note_late: Callable[[str], None]) -> None:
        """See `Fronts`. Connections that aiohttp serves go on until `pre_shutdown`."""
        self._fronts.wind_down(note_late)

    @property
    def is_used(self) -> bool:
        """Whether our own front has a connection."""
        return bool(self._fronts.connections)

    @property
    def busy(self) -> int:
        return self._fronts.busy

    def pre_shutdown(self) -> None:
        self._fronts.close_idle()
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:
        await asyncio.gather(self._fronts.shut_down(timeout or 0.0), super().shutdown(timeout))


class EdgeRunner(web.BaseRunner):
    """Runs a dispatcher behind the strict edge; `serves` tells which paths our own front may serve."""

    def __init__(
        self,
        dispatch: Dispatch,
        refuse: Callable[[int], BaseAnswer],
        serves: Callable[[str], bool],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._dispatch = dispatch
        self._refuse = refuse
        self._serves = serves

    @property
    def edge(self) -> EdgeServer:
        """The server, once it is set up."""
        assert isinstance(self.server, EdgeServer)
        return self.server

    async def shutdown(self) -> None:
        """Nothing: the gateway ends its exchanges itself, before the runner is cleaned up."""

    async def _make_server(self) -> web.Server:
        return EdgeServer(
            self._dispatch,
            self._refuse,
            self._serves,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            auto_decompress=False,
            max_line_size=_MAX_TARGET_BYTES,
            max_field_size=_MAX_FIELD_BYTES,
            lingering_time=LINGER_SECONDS,
            debug=False,
        )

    async def _cleanup_server(self) -> None:
        """Nothing: see `shutdown`."""
