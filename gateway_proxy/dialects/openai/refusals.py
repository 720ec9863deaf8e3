"""How the OpenAI dialect says no, to a client that waits for a body or already reads a stream."""

from typing import Any

import orjson

from gateway_proxy.core.errors import GatewayError


def error_body(error: GatewayError) -> bytes:
    """`{"error": {...}}` with all four members that the published schema requires."""
    return orjson.dumps({"error": _error_object(error)})


def error_event(error: GatewayError, operation: str) -> bytes:
    """The event that ends a broken stream. SDKs raise on it; no `[DONE]` may follow."""
    if operation == "responses":
        # The sequence number is required but unknown to us, and nobody orders by it after an error.
        data: dict[str, Any] = {
            "type": "error",
            "code": error.code,
            "message": error.public,
            "param": error.param,
            "sequence_number": 0,
        }
        return b"event: error\ndata: " + orjson.dumps(data) + b"\n\n"
    return b"data: " + error_body(error) + b"\n\n"


def _error_object(error: GatewayError) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "message": error.public,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.gateway is not None:
        shown["gateway"] = dict(error.gateway)
    return shown
