"""The messages of one HTTP answer of an MCP server, be it one JSON document or a stream of events.

Promises: no message is longer than the cap; whatever is no JSON-RPC ends as UpstreamFailed, never as another
exception. Source: MCP 2026-07-28 and 2025-03-26, basic/transports (Streamable HTTP).
"""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Any

import aiohttp

from gateway_proxy.core.errors import BadExchange, UpstreamFailed
from gateway_proxy.dialects.sse import Assembler, data_of, split_events
from gateway_proxy.dialects.strict_json import parse_document
from gateway_proxy.mcp.errors import McpError
from gateway_proxy.mcp.message import Message, parse_message


async def read_messages(response: aiohttp.ClientResponse, max_bytes: int) -> AsyncGenerator[Message, None]:
    """The messages in their order. Raises UpstreamFailed (upstream_broken), and what the socket raises."""
    kind = response.content_type
    if kind == "text/event-stream":
        async for message in _read_events(response, max_bytes):
            yield message
    elif kind == "application/json":
        for message in parse_messages(await _read_whole(response, max_bytes)):
            yield message
    else:
        raise broken(f"the server answered {response.status} with neither JSON nor events")


async def _read_whole(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            raise _too_long(max_bytes)
        pieces.append(piece)
    return b"".join(pieces)


async def _read_events(response: aiohttp.ClientResponse, max_bytes: int) -> AsyncGenerator[Message, None]:
    assembler = Assembler(max_bytes)
    async for piece in response.content.iter_any():
        _, events = assembler.push(piece)
        if assembler.overflowed or len(events) > max_bytes + len(piece):
            raise _too_long(max_bytes)
        for event in split_events(events):
            if data := data_of(event):
                for message in parse_messages(data):
                    yield message


def parse_messages(body: bytes) -> Iterator[Message]:
    """One message or a batch. Raises UpstreamFailed."""
    try:
        value = parse_document(body)
        items = value if isinstance(value, list) else [value]
        messages = [_parse(item) for item in items]
    except (BadExchange, McpError) as error:
        raise broken(f"the server sent no JSON-RPC: {error}") from None
    return iter(messages)


def _parse(item: Any) -> Message:
    # JSON-RPC itself writes a null id where the request's could not be read; MCP leaves it out.
    if isinstance(item, dict) and "error" in item and item.get("id") is None:
        item = {name: member for name, member in item.items() if name != "id"}
    if isinstance(item, dict) and "method" in item and item.get("params") is None:
        return replace(parse_message({name: item[name] for name in item if name != "params"}), params=None)
    return parse_message(item)


def broken(detail: str) -> UpstreamFailed:
    """The failure of a server that does not keep to the protocol; the detail goes to the log only."""
    return UpstreamFailed("The MCP server sent an answer that cannot be used.", detail=detail)


def _too_long(max_bytes: int) -> UpstreamFailed:
    return UpstreamFailed(
        f"The MCP server's answer is longer than {max_bytes} bytes.", detail="answer over the size cap"
    )
