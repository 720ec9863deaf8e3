"""Which protocol revision a message is to be served by.

The modern era says it in each request (`_meta`, mirrored in a header), the legacy era once, in `initialize`; the body
decides and the header must agree. Sources: MCP 2026-07-28, basic/versioning and basic/transports/streamable-http;
2025-11-25, basic/lifecycle and basic/transports (a request without the header is one of 2025-03-26).
"""

from gateway_proxy.mcp.errors import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, McpError
from gateway_proxy.mcp.message import Message

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
SUPPORTED = (MODERN, *LEGACY)
WITHOUT_HEADER = "2025-03-26"
WITH_BATCHES = "2025-03-26"

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CLIENT_KEY = "io.modelcontextprotocol/clientInfo"
GATEWAY = {"name": "gateway-proxy", "version": "1"}
"""As what it introduces itself, to clients and to servers."""


def is_modern(version: str) -> bool:
    """Whether this revision has no sessions."""
    return version == MODERN


def negotiate(requested: object) -> str:
    """The legacy revision that answers an `initialize`: the one asked for, else our newest."""
    return requested if isinstance(requested, str) and requested in LEGACY else LEGACY[0]


def version_of(message: Message, header: str | None) -> str:
    """The revision of one message beside the value of its MCP-Protocol-Version header.

    Raises McpError (400): -32020 where header and body differ, -32022 for a revision that is not served, -32602 for
    a modern request without its metadata.
    """
    told = message.meta.get(VERSION_KEY)
    if told is None and message.method == "initialize" and message.kind == "request":
        return negotiate((message.params or {}).get("protocolVersion"))
    if told is None:
        return _version_without_meta(message, header)
    if not isinstance(told, str):
        raise McpError(INVALID_PARAMS, f"Invalid params: _meta.{VERSION_KEY} must be a string", status=400)
    if header != told:
        was = "is missing" if header is None else f"value {header!a} does not match body value {told!a}"
        raise McpError(HEADER_MISMATCH, f"Header mismatch: MCP-Protocol-Version header {was}", status=400)
    if not is_modern(told):
        raise _unsupported(told, (MODERN,) if told in LEGACY else SUPPORTED)
    if message.kind == "request" and not isinstance(message.meta.get(CAPABILITIES_KEY), dict):
        raise McpError(
            INVALID_PARAMS, f"Invalid params: _meta.{CAPABILITIES_KEY} must be an object", status=400
        )
    return told


def _version_without_meta(message: Message, header: str | None) -> str:
    if header is None:
        return WITHOUT_HEADER
    if header not in SUPPORTED:
        raise _unsupported(header, SUPPORTED)
    if is_modern(header) and message.kind == "request":
        raise McpError(
            INVALID_PARAMS,
            f"Invalid params: _meta.{VERSION_KEY} is missing; revision {MODERN} requires it",
            status=400,
        )
    return header


def _unsupported(requested: str, supported: tuple[str, ...]) -> McpError:
    return McpError(
        UNSUPPORTED_VERSION,
        "Unsupported protocol version",
        status=400,
        data={"supported": list(supported), "requested": requested},
    )
