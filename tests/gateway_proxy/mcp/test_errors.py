"""The error member of an answer."""

from gateway_proxy.mcp.errors import McpError


def test_data_is_told_only_if_there_is_any() -> None:
    assert McpError(-32602, "Unknown tool: x").body() == {"code": -32602, "message": "Unknown tool: x"}
    assert McpError(-32022, "m", data={}).body()["data"] == {}
