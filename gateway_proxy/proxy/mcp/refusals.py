"""The gateway's refusals as JSON-RPC errors.

The code of an error is the HTTP status, outside the range that JSON-RPC reserves; what an OpenAI client finds in the
error object stands in its `data`. Source: MCP 2026-07-28, basic/index (Error Codes).
"""

from typing import Any

from gateway_proxy.core.errors import GatewayError
from gateway_proxy.mcp.errors import McpError
from gateway_proxy.mcp.message import error_answer, write_json


def as_mcp_error(error: GatewayError) -> McpError:
    """What a client reads in the body."""
    data: dict[str, Any] = {"code": error.code, "type": error.type}
    if error.gateway:
        data["gateway"] = dict(error.gateway)
    return McpError(error.status, error.public, status=error.status, data=data)


def write_refusal(error: GatewayError) -> bytes:
    """The body of a refusal of the whole request, before a message was read."""
    return write_json(error_answer(None, as_mcp_error(error)))
