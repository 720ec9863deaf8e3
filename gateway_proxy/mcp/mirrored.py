"""The headers that repeat parts of a body: checked against it, and made anew for the server.

Decisions are made on the body alone; a header that says otherwise refuses the request, because somebody else on the
way may believe it. Source: MCP 2026-07-28, basic/transports/streamable-http (Request Metadata, Server Validation).
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway_proxy.mcp.errors import HEADER_MISMATCH, McpError
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.methods import METHODS

_PARAM = "mcp-param-"
_PREFIX, _SUFFIX = "=?base64?", "?="
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")


def check_mirrored(message: Message, headers: Mapping[str, str], *, modern: bool) -> None:
    """Raises McpError -32020 (400) where a header differs from the body, or a modern request lacks one.

    `headers` by lower-case name; one that was sent twice is joined by commas, so that it matches nothing.
    """
    required = modern and message.kind == "request"
    _compare("Mcp-Method", headers.get("mcp-method"), message.method, required=required)
    told = headers.get("mcp-name")
    name = mirrored_name(message)
    if name is not None:
        _compare("Mcp-Name", told if told is None else decode_value(told), name, required=required)


def mirrored_name(message: Message) -> str | None:
    """What the header Mcp-Name repeats of this message; None for a method that it does not go with."""
    method = METHODS.get(message.method)
    if method is None or not method.mirrored:
        return None
    name = (message.params or {}).get(method.names)
    return name if isinstance(name, str) else None


def mirror(message: Message, version: str) -> dict[str, str]:
    """The headers that repeat a message of the modern era."""
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": message.method}
    name = mirrored_name(message)
    if name is not None:
        headers["Mcp-Name"] = encode_value(name)
    return headers


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers Mcp-Param-*: which argument each repeats is known to the server only, so it has to judge them."""
    return {name: value for name, value in headers.items() if name.lower().startswith(_PARAM)}


def mirror_arguments(schema: Any, arguments: Any) -> dict[str, str]:
    """The headers Mcp-Param-* of a call whose client knows of none: those that the tool's schema names with `x-mcp-header`."""
    headers = {}
    for token, value in _find_mirrored(schema, arguments):
        if isinstance(value, str | int | float) and _TOKEN.fullmatch(token):
            said = str(value).lower() if isinstance(value, bool) else str(value)
            headers[_PARAM + token.lower()] = encode_value(said)
    return headers


def _find_mirrored(schema: Any, value: Any) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not isinstance(value, dict):
        return
    for name in properties.keys() & value.keys():
        inner = properties[name]
        if isinstance(inner, dict) and isinstance(token := inner.get("x-mcp-header"), str):
            yield token, value[name]
        yield from _find_mirrored(inner, value[name])


def encode_value(value: str) -> str:
    """A header value that says `value`: itself where it is plain ASCII, else its UTF-8 in base64."""
    if _PLAIN.fullmatch(value) and not (value.startswith(_PREFIX) and value.endswith(_SUFFIX)):
        return value
    return f"{_PREFIX}{base64.b64encode(value.encode()).decode()}{_SUFFIX}"


def decode_value(value: str) -> str:
    """What a header value says. Raises McpError -32020 (400) for garbled base64."""
    if not (value.startswith(_PREFIX) and value.endswith(_SUFFIX)):
        return value
    try:
        return base64.b64decode(value[len(_PREFIX) : -len(_SUFFIX)], validate=True).decode()
    except (binascii.Error, ValueError):
        raise _mismatch("Mcp-Name header is not valid base64 of UTF-8") from None


def _compare(header: str, told: str | None, said: str, *, required: bool) -> None:
    if told is None:
        if required:
            raise _mismatch(f"{header} header is missing")
    elif told != said:
        raise _mismatch(f"{header} header value {told!a} does not match body value {said!a}")


def _mismatch(why: str) -> McpError:
    return McpError(HEADER_MISMATCH, f"Header mismatch: {why}", status=400)
