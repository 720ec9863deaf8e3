"""How the Anthropic dialect says no, to a client that waits for a body or already reads a stream.

Anthropic's own error types are few: which of our refusals it is stands in `code` and, where SDKs of that API look for
it, in `details.error_code`.
"""

from typing import Any

import orjson

from gateway_proxy.core.errors import GatewayError

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}


def error_body(error: GatewayError, request_id: str) -> bytes:
    """`{"type": "error", "error": {...}, "request_id": …}`."""
    kind = _TYPES.get(error.status)
    if kind is None:
        kind = "api_error" if error.status >= 500 else "invalid_request_error"
    if error.code == "overloaded":
        kind = "overloaded_error"
    shown: dict[str, Any] = {
        "type": kind,
        "message": error.public,
        "code": error.code,
        "details": {"error_code": error.code},
    }
    if error.param is not None:
        shown["param"] = error.param
    if error.gateway is not None:
        shown["gateway"] = dict(error.gateway)
    return orjson.dumps({"type": "error", "error": shown, "request_id": request_id})


def error_event(error: GatewayError, request_id: str) -> bytes:
    """The event that ends a broken stream; SDKs raise on it."""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"
