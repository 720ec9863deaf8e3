"""The strict edge: what aiohttp's server lets pass and we do not.

A request head must be complete within 10 s. Odd HTTP versions, absolute-form and asterisk targets, dot
segments, control characters and encoded separators in the path, and malformed heads get a clear 400 and a
closed connection; nothing of the request is echoed or logged.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.web_protocol import RequestHandler

from gateway_proxy.core.errors import BadExchange

log = logging.getLogger("gateway_proxy.edge")

HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75.0
_HIDDEN_CHARACTERS = ("%2e", "%5c", "%00", "%25")
Dispatch = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def check_request_line(request: web.BaseRequest) -> None:
    """Raises BadExchange for targets and versions that a later hop could read differently than we do."""
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
    for _, value in message.raw_headers:
        if not value.isascii():
            try:
                value.decode()
            except UnicodeDecodeError:
                raise BadExchange(
                    "A request header is neither ASCII nor UTF-8.", code="invalid_header"
                ) from None


class StrictProtocol(RequestHandler):
    """One client connection, with a deadline for each head and errors of our own."""

    __slots__ = ("_head_deadline", "_heard", "_refuse")

    def __init__(self, manager: "EdgeServer", **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._refuse = manager.refuse
        self._head_deadline: asyncio.TimerHandle | None = None
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)
        waiter = self._waiter
        if waiter is None or waiter.done():
            if self._head_deadline is not None and (self._messages or self._current_request is not None):
                self._head_deadline.cancel()
                self._head_deadline = None
        elif self._head_deadline is None:
            self._arm()  # the first bytes of the next head on a kept connection

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._head_deadline = self._loop.call_later(HEAD_SECONDS, self._expire)

    def _expire(self) -> None:
        self._head_deadline = None
        waiter = self._waiter
        if self.transport is None or waiter is None or waiter.done():
            return
        if self._heard:
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
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
        answer = self._refuse(status)
        answer.force_close()
        return answer


class EdgeServer(web.Server):
    """aiohttp's low-level server with strict connections."""

    def __init__(
        self, dispatch: Dispatch, refuse: Callable[[int], web.StreamResponse], **kwargs: Any
    ) -> None:
        super().__init__(dispatch, **kwargs)
        self.refuse = refuse

    def __call__(self) -> RequestHandler:
        return StrictProtocol(self, loop=self._loop, **self._kwargs)


class EdgeRunner(web.BaseRunner):
    """Runs a dispatcher behind the strict edge."""

    def __init__(
        self, dispatch: Dispatch, refuse: Callable[[int], web.StreamResponse], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._dispatch = dispatch
        self._refuse = refuse

    async def shutdown(self) -> None:
        """Nothing: the gateway ends its exchanges itself, before the runner is cleaned up."""

    async def _make_server(self) -> web.Server:
        return EdgeServer(
            self._dispatch,
            self._refuse,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            auto_decompress=False,
            max_line_size=8190,
            max_field_size=16380,
            lingering_time=2.0,
            debug=False,
        )

    async def _cleanup_server(self) -> None:
        """Nothing: see `shutdown`."""
