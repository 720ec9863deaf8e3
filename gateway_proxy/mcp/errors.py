"""Errors as MCP tells them: a JSON-RPC code, an HTTP status, and a text that the client sees.

Sources: JSON-RPC 2.0, section 5.1; MCP 2026-07-28, basic/index (Error Codes) and basic/transports/streamable-http.
"""

from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
FORBIDDEN = 403
"""Our own, outside the range that JSON-RPC reserves."""


class McpError(Exception):
    """One JSON-RPC error. `status` is the HTTP status that carries it; `denied` is set where a key's rule refused."""

    def __init__(
        self, code: int, message: str, *, status: int = 200, data: Any = None, denied: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.data = data
        self.denied = denied

    def body(self) -> dict[str, Any]:
        """The `error` member of the answer."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error
