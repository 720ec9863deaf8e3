"""Refusals as JSON-RPC errors."""

import json

from gateway_proxy.core.errors import RateLimited
from gateway_proxy.proxy.mcp.refusals import as_mcp_error, write_refusal


def test_a_refusal_says_its_code_and_what_belongs_to_it() -> None:
    error = RateLimited("Too many.", gateway={"limit": "requests_per_minute"})
    told = as_mcp_error(error)
    assert (told.code, told.status) == (429, 429)
    assert json.loads(write_refusal(error)) == {
        "jsonrpc": "2.0",
        "error": {
            "code": 429,
            "message": "Too many.",
            "data": {
                "code": "rate_limit_exceeded",
                "type": "requests",
                "gateway": {"limit": "requests_per_minute"},
            },
        },
    }
