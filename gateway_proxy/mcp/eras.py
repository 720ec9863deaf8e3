"""What crosses from one era to the other: requests as the server's revision wants them, results as the client's does.

Source: MCP 2026-07-28, changelog, basic/index (`_meta`, ResultType) and server/utilities/caching.
"""

from typing import Any

from gateway_proxy.mcp.errors import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    UNSUPPORTED_VERSION,
    McpError,
)
from gateway_proxy.mcp.methods import Method
from gateway_proxy.mcp.names import join_uri
from gateway_proxy.mcp.versions import CAPABILITIES_KEY, CLIENT_KEY, GATEWAY, LEGACY, VERSION_KEY, is_modern

LIST_TTL_MS = 5_000
"""How long a client may keep a list: as long as a change of its key may stay unseen."""
_RESOURCE_NOT_FOUND = -32002
_RESERVED = "io.modelcontextprotocol/"
_STATUSES = {
    HEADER_MISMATCH: 400,
    MISSING_CLIENT_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""With which HTTP status the modern era tells an error; the others have 200."""
_CACHE_MEMBERS = ("ttlMs", "cacheScope")


def fit_params(
    params: dict[str, Any] | None, *, server: str, client: str = LEGACY[0]
) -> dict[str, Any] | None:
    """The params for a server of revision `server`. Without a `client` they are the gateway's own.

    A legacy client's request declares no capability to a modern server, for it could not answer what they invite.
    """
    fitted = dict(params or {})
    given = fitted.pop("_meta", None)
    meta = dict(given) if isinstance(given, dict) else {}
    if is_modern(server):
        if not is_modern(client):
            meta |= {CAPABILITIES_KEY: {}, CLIENT_KEY: GATEWAY}
        meta[VERSION_KEY] = server
    else:
        meta = {key: value for key, value in meta.items() if not key.startswith(_RESERVED)}
    if meta:
        fitted["_meta"] = meta
    return fitted or (None if params is None else fitted)


def fit_result(result: dict[str, Any], method: Method, *, client: str) -> dict[str, Any]:
    """The result for a client of revision `client`, marked private where it may be kept.

    Raises McpError -32603 where the server asks a legacy client for input, which it has no way to give.
    """
    if not is_modern(client):
        if result.get("resultType", "complete") != "complete":
            raise McpError(
                INTERNAL_ERROR,
                "The server asks for input, which this protocol version cannot carry; use 2026-07-28.",
            )
        return {name: value for name, value in result.items() if name not in ("resultType", *_CACHE_MEMBERS)}
    fitted = {"resultType": "complete"} | result
    if method.is_cacheable and fitted["resultType"] == "complete":
        given = fitted.get("ttlMs")
        usable = isinstance(given, int | float) and not isinstance(given, bool) and given >= 0
        fitted["ttlMs"] = min(given, LIST_TTL_MS) if usable and given is not None else 0
        fitted["cacheScope"] = "private"
    return fitted


def fit_error(error: dict[str, Any], *, client: str) -> McpError:
    """A server's own error, for a client of revision `client`: codes that the modern era took back are replaced."""
    code, message = error.get("code"), error.get("message")
    if isinstance(code, bool) or not isinstance(code, int) or not isinstance(message, str):
        return McpError(INTERNAL_ERROR, "The MCP server answered with an error that cannot be read.")
    if is_modern(client) and code == _RESOURCE_NOT_FOUND:
        code = INVALID_PARAMS
    status = _STATUSES.get(code, 200) if is_modern(client) else 200
    return McpError(code, message, status=status, data=error.get("data"))


def rename_uris(server: str, result: dict[str, Any]) -> dict[str, Any]:
    """A result with the URIs in its contents as the endpoint of all servers names them."""
    renamed = dict(result)
    for member in ("contents", "content"):
        if isinstance(items := result.get(member), list):
            renamed[member] = [_rename_item(server, item) for item in items]
    if isinstance(messages := result.get("messages"), list):
        renamed["messages"] = [
            {**message, "content": _rename_item(server, message.get("content"))}
            if isinstance(message, dict) and "content" in message
            else message
            for message in messages
        ]
    return renamed


def _rename_item(server: str, item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    renamed = dict(item)
    if isinstance(uri := item.get("uri"), str):
        renamed["uri"] = join_uri(server, uri)
    if isinstance(resource := item.get("resource"), dict):
        renamed["resource"] = _rename_item(server, resource)
    return renamed
