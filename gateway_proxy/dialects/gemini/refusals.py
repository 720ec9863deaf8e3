"""How the Gemini dialect says no: `google.rpc.Status`, in a body or as a stream's last event.

The canonical codes are few: which of our refusals it is stands in an `ErrorInfo` detail (google/rpc/error_details.proto).
"""

from typing import Any

import orjson

from gateway_proxy.core.errors import GatewayError

_STATUSES = {
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_body(error: GatewayError) -> bytes:
    """`{"error": {...}}`, and nothing before that member: SDKs look for these very first bytes in a stream."""
    return orjson.dumps({"error": _error_object(error)})


def error_event(error: GatewayError) -> bytes:
    """The event that ends a broken stream."""
    return b"data: " + error_body(error) + b"\r\n\r\n"


def _error_object(error: GatewayError) -> dict[str, Any]:
    status = _STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
    metadata = {"type": error.type}
    if error.param is not None:
        metadata["param"] = error.param
    info = "type.googleapis.com/google.rpc.ErrorInfo"
    details: list[dict[str, Any]] = [
        {"@type": info, "reason": error.code, "domain": "gateway", "metadata": metadata}
    ]
    if error.retry_after_ms is not None:
        delay = f"{error.retry_after_ms / 1000:.3f}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    shown: dict[str, Any] = {
        "code": error.status,
        "message": error.public,
        "status": status,
        "details": details,
    }
    if error.gateway is not None:
        shown["gateway"] = dict(error.gateway)
    return shown
