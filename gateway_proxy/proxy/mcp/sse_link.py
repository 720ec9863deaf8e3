"""One MCP server over the older HTTP+SSE: one stream of events down, and an address to post to.

Promises: the address stands on the same origin as the stream; redirects are not followed; the stream is opened when it
is needed, and again when it has ended. Source: MCP 2024-11-05, basic/transports (HTTP with SSE).
"""

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import urljoin, urlsplit

import aiohttp

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn
from gateway_proxy.dialects.sse import Assembler, data_of, name_of, split_events
from gateway_proxy.proxy.mcp.answer import broken, parse_messages
from gateway_proxy.proxy.mcp.channel import Channel
from gateway_proxy.proxy.mcp.channel_link import ChannelLink
from gateway_proxy.proxy.mcp.http import ask_signed_in, failures, make_http, refusal
from gateway_proxy.proxy.mcp.lines import TooLong, find_first_id
from gateway_proxy.proxy.mcp.sign_in import SignIn

_DOWN = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store"}
_UP = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
POST_SECONDS = 30.0
_HEAD_BYTES = 512


class SseLink(ChannelLink):
    """Nothing is connected before it is needed."""

    def __init__(
        self,
        url: str,
        sign_in: SignIn,
        *,
        connect_seconds: float = 5,
        silence_seconds: float = 300,
        max_bytes: int = 8 << 20,
        allow_private: bool = False,
    ) -> None:
        super().__init__(start_seconds=connect_seconds * 2, silence_seconds=silence_seconds, is_legacy=True)
        self._url = url
        self._sign_in = sign_in
        self._max_bytes = max_bytes
        self._http = make_http(
            connect_seconds=connect_seconds, silence_seconds=POST_SECONDS, allow_private=allow_private
        )
        self._reader: asyncio.Task[None] | None = None

    async def close(self) -> None:
        await super().close()
        await self._sign_in.close()
        await self._http.close()

    async def _open(self) -> Channel:
        response = await self._get()
        try:
            events = self._read_events(response)
            with failures():
                async with asyncio.timeout(self._start_seconds):
                    address = await self._find_address(events)
        except BaseException:
            response.close()
            raise

        async def write(line: bytes) -> None:
            await self._post(address, line)

        channel = Channel(write)
        self._reader = spawn(self._read(response, events, channel), "mcp events")
        return channel

    async def _shut(self) -> None:
        reader, self._reader = self._reader, None
        if self._channel is not None:
            self._channel.fail(UpstreamFailed("The connection to the MCP server was closed."))
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _get(self) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(sock_connect=self._http.timeout.sock_connect)

        async def send(signed: dict[str, str]) -> aiohttp.ClientResponse:
            headers = {**_DOWN, **signed}
            return await self._http.get(self._url, headers=headers, allow_redirects=False, timeout=timeout)

        response = await ask_signed_in(self._sign_in, send)
        if response.status == 200 and response.content_type == "text/event-stream":
            return response
        response.close()
        raise refusal(response.status)

    async def _post(self, address: str, line: bytes) -> None:
        with failures():
            headers = {**_UP, **await self._sign_in.headers()}
            async with self._http.post(
                address, data=line, headers=headers, allow_redirects=False
            ) as response:
                if response.status >= 300:
                    self._sign_in.forget(headers.get("Authorization"))
                    raise refusal(response.status)

    async def _read_events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes | TooLong, None]:
        """Whole events; one that is too long leaves only the id that it answers."""
        assembler = Assembler(self._max_bytes)
        async for piece in response.content.iter_any():
            was_too_long = assembler.overflowed
            lost, events = assembler.push(piece)
            if lost and not was_too_long:
                yield TooLong(find_first_id(data_of(lost)[:_HEAD_BYTES]))
            for event in split_events(events):
                too_long = len(event) > self._max_bytes
                yield TooLong(find_first_id(data_of(event)[:_HEAD_BYTES])) if too_long else event

    async def _find_address(self, events: AsyncGenerator[bytes | TooLong, None]) -> str:
        async for event in events:
            if isinstance(event, bytes) and name_of(event) == b"endpoint":
                address = urljoin(self._url, data_of(event).decode("ascii", "replace"))
                if urlsplit(address)[:2] != urlsplit(self._url)[:2]:
                    raise broken("the server names an address of another origin to post to")
                return address
        raise broken("the server's stream ended before it named an address to post to")

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        events: AsyncGenerator[bytes | TooLong, None],
        channel: Channel,
    ) -> None:
        error = UpstreamFailed("The MCP server broke off.", detail="the stream of events has ended")
        try:
            with failures():
                async for event in events:
                    self._take(channel, event)
        except UpstreamFailed as failed:
            error = failed
        finally:
            response.close()
            channel.fail(error)

    def _take(self, channel: Channel, event: bytes | TooLong) -> None:
        """Raises UpstreamFailed where it cannot be told whose answer it is."""
        if isinstance(event, TooLong):
            error = broken(f"a message is longer than {self._max_bytes} bytes")
            if event.id is None:
                raise error
            channel.fail_one(event.id, error)
        elif name_of(event) in (b"", b"message") and (data := data_of(event)):
            for message in parse_messages(data):
                channel.take(message)
