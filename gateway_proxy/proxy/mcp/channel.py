"""Many exchanges over one two-way stream of messages, as stdio and the older HTTP+SSE have it.

Promises: an answer reaches the exchange that asked, and progress and subscriptions the one that they belong to; what
belongs to none reaches no client, since the stream is shared by all keys. A `ping` of the server is answered, everything
else that it asks is declined. Whose bytes these are belongs to the links.
Source: MCP 2026-07-28, basic/transports/stdio and basic/patterns; 2025-11-25, basic/utilities.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn
from gateway_proxy.mcp.errors import METHOD_NOT_FOUND, McpError
from gateway_proxy.mcp.message import Message, write_json
from gateway_proxy.proxy.mcp.changes import LIST_CHANGES, LISTEN, SUBSCRIPTION_KEY
from gateway_proxy.proxy.mcp.link import LinkExchange

MAX_WAITING = 1_000
Write = Callable[[bytes], Awaitable[None]]
"""Hands one message to the server; raises UpstreamFailed."""


class ChannelExchange(LinkExchange):
    """The messages that answer one request."""

    def __init__(self, request: Message, token: Any, silence_seconds: float | None) -> None:
        self.request = request
        self.is_finished = False
        self._token = token
        self._silence_seconds = silence_seconds
        self._waiting: asyncio.Queue[Message | UpstreamFailed] = asyncio.Queue()

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Each as it comes; the response is the last. Raises UpstreamFailed where none comes."""
        while True:
            try:
                async with asyncio.timeout(self._silence_seconds):
                    message = await self._waiting.get()
            except TimeoutError:
                raise _silent() from None
            if isinstance(message, UpstreamFailed):
                raise message
            yield message
            if message.kind == "response":
                return

    def take(self, message: Message) -> None:
        """Keeps a message until it is read; an exchange that is read too slowly ends."""
        if message.kind == "response":
            self.is_finished = True
        elif self._waiting.qsize() >= MAX_WAITING:
            self.fail(UpstreamFailed("The client reads too slowly.", detail="too many messages wait"))
            return
        elif message.method == "notifications/progress":
            message = replace(message, params={**(message.params or {}), "progressToken": self._token})
        self._waiting.put_nowait(message)

    def fail(self, error: UpstreamFailed) -> None:
        self._waiting.put_nowait(error)


class Channel:
    """Ends once, by `fail`. `stirred` is set when a list of the server has changed, and at the end."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self.stirred = asyncio.Event()
        self._ids = itertools.count(1)
        self._exchanges: dict[int, ChannelExchange] = {}
        self.failure: UpstreamFailed | None = None

    @asynccontextmanager
    async def exchange(
        self, method: str, params: dict[str, Any] | None, silence_seconds: float
    ) -> AsyncIterator[ChannelExchange]:
        """One request. Leaving before its answer came cancels it at the server. Raises UpstreamFailed."""
        id = next(self._ids)
        token, params = _take_token(params, id)
        request = Message("request", id, method, params)
        exchange = ChannelExchange(request, token, None if method == LISTEN else silence_seconds)
        if self.failure is not None:
            raise self.failure
        self._exchanges[id] = exchange
        try:
            await self.send(request)
            yield exchange
        finally:
            del self._exchanges[id]
            if not exchange.is_finished and method != "initialize" and self.failure is None:
                await self._tell_cancelled(id)

    async def send(self, message: Message) -> None:
        """Raises UpstreamFailed."""
        if self.failure is not None:
            raise self.failure
        await self._write(write_json(message.value()))

    def take(self, message: Message) -> None:
        """A message of the server's."""
        if message.kind == "request":
            spawn(self._answer(message), "mcp answer")
        elif message.kind == "response":
            if isinstance(message.id, int) and (asked := self._exchanges.get(message.id)) is not None:
                asked.take(message)
        else:
            self._take_notification(message)

    def fail_one(self, id: int, error: UpstreamFailed) -> None:
        """The answer of this id will not come."""
        if (exchange := self._exchanges.get(id)) is not None:
            exchange.fail(error)

    def fail(self, error: UpstreamFailed) -> None:
        """The stream has ended, and all exchanges with it."""
        if self.failure is None:
            self.failure = error
            self.stirred.set()
            for exchange in self._exchanges.values():
                exchange.fail(error)

    def _take_notification(self, message: Message) -> None:
        params = message.params or {}
        if message.method == "notifications/progress":
            belongs = params.get("progressToken")
        elif message.method == "notifications/cancelled":
            belongs = params.get("requestId")
        else:
            belongs = message.meta.get(SUBSCRIPTION_KEY)
        exchange = self._exchanges.get(belongs) if isinstance(belongs, int) else None
        if message.method in LIST_CHANGES:
            self.stirred.set()
        if exchange is None:
            return
        if message.method == "notifications/cancelled":
            exchange.fail(
                UpstreamFailed("The MCP server ended the request.", detail="it was cancelled there")
            )
        else:
            exchange.take(message)

    async def _answer(self, message: Message) -> None:
        with contextlib.suppress(UpstreamFailed):  # whoever asked has gone
            await self._write(write_json(answer_server(message).value()))

    async def _tell_cancelled(self, id: int) -> None:
        with contextlib.suppress(UpstreamFailed):  # the server has gone, and the request with it
            await self.send(Message("notification", None, "notifications/cancelled", {"requestId": id}))


def _take_token(params: dict[str, Any] | None, id: int) -> tuple[Any, dict[str, Any] | None]:
    """The client's progress token, and the params with one that no other client uses."""
    meta = (params or {}).get("_meta")
    if params is None or not isinstance(meta, dict) or "progressToken" not in meta:
        return None, params
    return meta["progressToken"], {**params, "_meta": {**meta, "progressToken": id}}


def _silent() -> UpstreamFailed:
    return UpstreamFailed(
        "The MCP server did not answer in time.", code="upstream_timeout", status=504, detail="silent"
    )


def answer_server(message: Message) -> Message:
    """The answer to what a server asks of its client."""
    if message.method == "ping":
        return Message("response", message.id, outcome={"result": {}})
    error = McpError(METHOD_NOT_FOUND, f"Method not found: {message.method}")
    return Message("response", message.id, outcome={"error": error.body()})
