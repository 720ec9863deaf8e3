"""Rows of the MCP log."""

from typing import Any

from gateway_proxy.core.ledger import McpLogRow


def make_row(request_id: str, at: int = 5, **members: Any) -> McpLogRow:
    """A call that went well, of a key of the default organization."""
    usual: dict[str, Any] = {
        "gateway_id": "gtw_a", "organization": "default", "key_id": "key_a", "key_name": "agent", "key_revision": 3,
        "owner": "ada@example.com", "method": "tools/call", "server": "github", "tool": "search", "status": "ok",
        "rule": "allow_all",
    }  # fmt: skip
    return McpLogRow(request_id, at, **{**usual, **members})
