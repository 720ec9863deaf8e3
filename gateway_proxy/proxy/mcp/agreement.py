"""What `initialize` is asked with, and what its answer and that of `server/discover` say: revisions and capabilities.

Source: MCP 2026-07-28, basic/versioning; 2025-11-25, basic/lifecycle.
"""

from collections.abc import Mapping
from typing import Any

from gateway_proxy.mcp.errors import HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, UNSUPPORTED_VERSION
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.versions import GATEWAY, LEGACY
from gateway_proxy.proxy.mcp.answer import broken

OLDEST = "2024-11-05"
"""The revision of the older HTTP+SSE; what it has that the gateway passes on is the same as in 2025-03-26."""
_MODERN_ERRORS = (HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, UNSUPPORTED_VERSION)


def initialize_params(can: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `initialize` is asked with, for a client that can do this."""
    return {"protocolVersion": LEGACY[0], "capabilities": dict(can or {}), "clientInfo": GATEWAY}


def read_supported(answer: Message) -> tuple[str, ...]:
    """The revisions that the answer to `server/discover` tells; none for a server of the legacy era."""
    outcome = answer.outcome or {}
    told: Any = outcome.get("result", {}).get("supportedVersions")
    error = outcome.get("error", {})
    if error.get("code") in _MODERN_ERRORS:
        data = error.get("data")
        told = data.get("supported") if isinstance(data, dict) else None
    return tuple(version for version in told if isinstance(version, str)) if isinstance(told, list) else ()


def read_agreement(answer: Message) -> tuple[str, Mapping[str, Any]]:
    """The revision and capabilities of an answer to `initialize`. Raises UpstreamFailed."""
    result = (answer.outcome or {}).get("result")
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    if version not in (*LEGACY, OLDEST):
        raise broken("the server did not agree to a protocol version that the gateway speaks")
    return LEGACY[-1] if version == OLDEST else str(version), read_capabilities(result)


def read_capabilities(result: Any) -> Mapping[str, Any]:
    """What a result says that the server can do."""
    told = result.get("capabilities") if isinstance(result, dict) else None
    return told if isinstance(told, dict) else {}
