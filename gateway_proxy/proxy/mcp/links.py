"""A link to each MCP server, made from its settings."""

from functools import partial
from typing import Any

from gateway_proxy.config.mcp import McpServer
from gateway_proxy.proxy.mcp.auto_link import AutoLink
from gateway_proxy.proxy.mcp.child import Command
from gateway_proxy.proxy.mcp.http import make_http
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Link
from gateway_proxy.proxy.mcp.oauth import OAuthSignIn
from gateway_proxy.proxy.mcp.sign_in import SignIn, basic, bearer, header, no_sign_in
from gateway_proxy.proxy.mcp.sse_link import SseLink
from gateway_proxy.proxy.mcp.stdio_link import StdioLink


def make_link(server: McpServer) -> Link:
    """The way to this server; nothing is connected or started yet."""
    if server.url is None:
        return StdioLink(
            _make_command(server),
            start_seconds=server.timeouts.start,
            silence_seconds=server.timeouts.silence,
        )
    sign_in = _make_sign_in(server, server.url)
    options: dict[str, Any] = {
        "connect_seconds": server.timeouts.connect,
        "silence_seconds": server.timeouts.silence,
        "max_bytes": server.max_output_bytes,
        "allow_private": server.allow_private,
    }
    if server.transport == "http":
        return _make_http_link(server, sign_in, options)
    older = SseLink(server.url, sign_in, **options)
    return older if server.transport == "sse" else AutoLink(_make_http_link(server, sign_in, options), older)


def _make_http_link(server: McpServer, sign_in: SignIn, options: dict[str, Any]) -> HttpLink:
    return HttpLink(str(server.url), sign_in, agree_seconds=server.timeouts.lists, **options)


def _make_command(server: McpServer) -> Command:
    limits = {name: most for name, most in server.limits.model_dump().items() if most is not None}
    return Command(server.name, server.command, server.env, server.cwd, limits, server.max_output_bytes)


def _make_sign_in(server: McpServer, url: str) -> SignIn:
    auth = server.auth
    if auth.bearer is not None:
        return bearer(auth.bearer)
    if auth.header is not None:
        return header(auth.header.name, auth.header.value)
    if auth.basic is not None:
        return basic(auth.basic.username, auth.basic.password)
    if auth.oauth2 is not None:
        connect = server.timeouts.connect
        http = partial(
            make_http,
            connect_seconds=connect,
            silence_seconds=connect * 2,
            allow_private=server.allow_private,
        )
        return OAuthSignIn(auth.oauth2, url, http)
    return no_sign_in()
