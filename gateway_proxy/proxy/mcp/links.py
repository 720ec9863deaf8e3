"""A link to each MCP server, made from its settings."""

from gateway_proxy.config.mcp import McpServer
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Link
from gateway_proxy.proxy.mcp.sign_in import bearer, no_sign_in


def make_link(server: McpServer) -> Link:
    """The way to this server; nothing is connected yet. Raises ValueError for a server that cannot be reached so."""
    if not server.url:
        raise ValueError(f"the MCP server {server.name!r} has no url")
    token = None if server.auth is None else server.auth.bearer
    return HttpLink(server.url, no_sign_in() if token is None else bearer(token))
