"""One MCP server over Streamable HTTP, in whichever era it lives.

Promises: nothing of a client reaches the server but the params and the headers Mcp-Param-*; leaving an exchange before
its answer cancels it there; every failure is an UpstreamFailed. Which client may ask what was decided before.
Source: MCP 2026-07-28, basic/transports/streamable-http (Backward Compatibility); 2025-11-25, basic/lifecycle.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn
from gateway_proxy.mcp.message import Message, write_json
from gateway_proxy.mcp.mirrored import mirror
from gateway_proxy.mcp.versions import LEGACY, MODERN, is_modern
from gateway_proxy.proxy.mcp.agreement import (
    initialize_params,
    read_agreement,
    read_capabilities,
    read_supported,
)
from gateway_proxy.proxy.mcp.answer import broken, read_messages
from gateway_proxy.proxy.mcp.changes import LIST_CHANGES, listen, told_changes
from gateway_proxy.proxy.mcp.channel import answer_server
from gateway_proxy.proxy.mcp.http import ask_signed_in, failures, make_http, refusal
from gateway_proxy.proxy.mcp.link import Link, LinkExchange, Peer, SessionEnded
from gateway_proxy.proxy.mcp.sign_in import SignIn

DEFAULT_MAX_BYTES = 8 << 20
_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
}
_SESSION = "Mcp-Session-Id"
_FAREWELL = aiohttp.ClientTimeout(total=5)


class HttpLink(Link):
    """Connections to one server, shared by all exchanges; cookies are never kept. `close` ends them."""

    def __init__(
        self,
        url: str,
        sign_in: SignIn,
        *,
        connect_seconds: float = 5,
        agree_seconds: float = 20,
        silence_seconds: float = 300,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_private: bool = False,
    ) -> None:
        self._url = url
        self._sign_in = sign_in
        self._agree_seconds = agree_seconds
        self._max_bytes = max_bytes
        self._ids = itertools.count(1)
        self._http = make_http(
            connect_seconds=connect_seconds, silence_seconds=silence_seconds, allow_private=allow_private
        )

    async def close(self) -> None:
        await self._sign_in.close()
        await self._http.close()

    async def connect(self) -> Peer:
        """Finds out the server's era; in the legacy one this opens a session. Raises UpstreamFailed."""
        with failures():
            async with asyncio.timeout(self._agree_seconds):
                return await self._agree()

    async def _agree(self) -> Peer:
        modern = Peer(MODERN)
        try:
            answer = await self.ask(modern, "server/discover")
        except UpstreamFailed as error:
            if error.code != "upstream_broken":
                raise
            return await self.initialize()
        if MODERN not in read_supported(answer):
            return await self.initialize()
        return Peer(MODERN, capabilities=read_capabilities((answer.outcome or {}).get("result")))

    async def open_session(self, capabilities: Mapping[str, Any]) -> Peer | None:
        """Raises UpstreamFailed."""
        try:
            with failures():
                async with asyncio.timeout(self._agree_seconds):
                    return replace(await self.initialize(capabilities), is_own=True)
        except UpstreamFailed as error:
            if error.code != "upstream_broken":
                raise
            return None  # it knows the modern era only

    async def reply(self, peer: Peer, answer: Message) -> None:
        """Raises UpstreamFailed."""
        async with await self._post(answer, self._headers(peer), _FAREWELL) as response:
            _check_status(response, peer)

    async def initialize(self, can: Mapping[str, Any] | None = None) -> Peer:
        """A legacy session of its own. Raises UpstreamFailed."""
        async with self.exchange(
            Peer(LEGACY[0]), "initialize", initialize_params(can), opens=True
        ) as exchange:
            answer = await exchange.final()
            session_id = exchange.session_id
        version, capabilities = read_agreement(answer)
        peer = Peer(version, session_id, capabilities)
        await self.notify(peer, "notifications/initialized")
        return peer

    async def end(self, peer: Peer) -> None:
        """Ends a legacy session; whether the server minds does not matter."""
        if peer.session_id is None:
            return
        try:
            headers = {**self._headers(peer), **await self._sign_in.headers()}
            async with self._http.delete(
                self._url, headers=headers, allow_redirects=False, timeout=_FAREWELL
            ):
                pass
        except (aiohttp.ClientError, TimeoutError, OSError, UpstreamFailed):
            pass

    async def changes(self, peer: Peer) -> AsyncGenerator[None, None]:
        """Raises UpstreamFailed."""
        if not told_changes(peer):
            return
        told = listen(self, peer) if is_modern(peer.version) else self._listen_to_session(peer)
        async with aclosing(told):
            async for _ in told:
                yield

    async def _listen_to_session(self, peer: Peer) -> AsyncGenerator[None, None]:
        async with aclosing(self.session_messages(peer)) as messages:
            async for message in messages:
                if message is not None and message.kind == "request":
                    self._decline(peer, message)
                elif message is not None and message.method in LIST_CHANGES:
                    yield

    async def session_messages(self, peer: Peer) -> AsyncGenerator[Message | None, None]:
        """The stream that a legacy server may offer for what belongs to no request (405 where it does not)."""
        with failures():
            headers = {**self._headers(peer), **await self._sign_in.headers()}
            async with self._http.get(self._url, headers=headers, allow_redirects=False) as response:
                _check_status(response, peer)
                if response.status != 200 or response.content_type != "text/event-stream":
                    return
                yield None
                async with aclosing(read_messages(response, self._max_bytes)) as messages:
                    async for message in messages:
                        if message.method == "ping" and message.kind == "request":
                            self._decline(peer, message)
                        else:
                            yield message

    def _decline(self, peer: Peer, message: Message) -> None:
        """A server of the legacy era may ask its client: `ping` is answered, the rest is not for the gateway to do."""
        spawn(self._answer(peer, answer_server(message)), "mcp answer")

    async def _answer(self, peer: Peer, answer: Message) -> None:
        with suppress(UpstreamFailed):  # whoever asked has gone
            await self.reply(peer, answer)

    async def notify(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> None:
        """Sends a notification. Raises UpstreamFailed."""
        message = Message("notification", None, method, params)
        async with await self._post(message, self._headers(peer, message), _FAREWELL) as response:
            _check_status(response, peer)
            if response.status >= 400:
                raise broken(f"the server refused the notification {method} (status {response.status})")

    @asynccontextmanager
    async def exchange(
        self,
        peer: Peer,
        method: str,
        params: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
        *,
        opens: bool = False,
    ) -> AsyncIterator["HttpExchange"]:
        """One request. Leaving before its answer came cancels it at the server. Raises UpstreamFailed."""
        message = Message("request", next(self._ids), method, params)
        sent = {**(headers or {}), **self._headers(peer, message, opens=opens)}
        try:
            response = await self._post(message, sent)
        except asyncio.CancelledError:  # the server answers with a head only once it is done
            self._cancel(peer, message)
            raise
        try:
            _check_status(response, peer)
            decline = partial(self._decline, peer)
            exchange = HttpExchange(response, message, self._max_bytes, decline, hands_on=peer.is_own)
        except BaseException:
            response.close()
            raise
        try:
            yield exchange
        finally:
            if exchange.is_finished:
                response.release()
            else:
                response.close()
                self._cancel(peer, message)

    async def _post(
        self, message: Message, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout | None = None
    ) -> aiohttp.ClientResponse:
        body = write_json(message.value())

        async def send(signed: dict[str, str]) -> aiohttp.ClientResponse:
            if self._http.closed:  # while this was waiting to be asked again
                raise aiohttp.ClientConnectionError("the link is closed")
            return await self._http.post(
                self._url,
                data=body,
                headers={**headers, **signed},
                allow_redirects=False,
                timeout=timeout or self._http.timeout,
            )

        return await ask_signed_in(self._sign_in, send)

    def _cancel(self, peer: Peer, message: Message) -> None:
        # In the legacy era a lost connection does not mean that the client has lost interest.
        if not is_modern(peer.version) and message.method != "initialize":
            spawn(self._tell_cancelled(peer, message), "mcp cancel")

    async def _tell_cancelled(self, peer: Peer, message: Message) -> None:
        try:
            await self.notify(peer, "notifications/cancelled", {"requestId": message.id})
        except UpstreamFailed:
            pass  # the server has gone, and the request with it

    def _headers(self, peer: Peer, message: Message | None = None, *, opens: bool = False) -> dict[str, str]:
        headers = dict(_HEADERS)
        if is_modern(peer.version):
            return headers if message is None else headers | mirror(message, peer.version)
        if not opens and peer.version != LEGACY[-1]:  # the header is newer than that revision
            headers["MCP-Protocol-Version"] = peer.version
        if peer.session_id is not None:
            headers[_SESSION] = peer.session_id
        return headers


class HttpExchange(LinkExchange):
    """The messages that answer one request: what belongs to it, and at last its response."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: Message,
        max_bytes: int,
        decline: Callable[[Message], None],
        *,
        hands_on: bool = False,
    ) -> None:
        self._hands_on = hands_on
        self._decline = decline
        self._response = response
        self._request = request
        self._max_bytes = max_bytes
        self.is_finished = False
        self.session_id = response.headers.get(_SESSION)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Each as it comes; the response is the last. Raises UpstreamFailed where none comes."""
        with failures():
            async with aclosing(read_messages(self._response, self._max_bytes)) as found:
                async for message in found:
                    if message.kind == "response":
                        if message.id not in (None, self._request.id):
                            continue
                        self.is_finished = True
                    elif message.kind == "request" and not (self._hands_on and message.method != "ping"):
                        self._decline(message)
                        continue
                    yield message
                    if self.is_finished:
                        return
        raise broken("the server's answer ended without a response")


def _check_status(response: aiohttp.ClientResponse, peer: Peer) -> None:
    status = response.status
    if status == 404 and peer.session_id is not None:
        raise SessionEnded("The session at the MCP server has ended.", detail="status 404")
    if 300 <= status < 400:
        raise broken(f"the server redirects (status {status}); write the address it redirects to as url")
    if status in (401, 403) or (status >= 500 and response.content_type != "application/json"):
        raise refusal(status)
