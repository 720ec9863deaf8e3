"""What is to be done with one message: answered here, sent to one server, or listened for at several.

Promises: everything that reaches a server was judged here, and is what is sent. Doing it belongs to `proxy/`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway_proxy.mcp.eras import fit_result
from gateway_proxy.mcp.errors import METHOD_NOT_FOUND, McpError
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.methods import Method, find_method
from gateway_proxy.mcp.scope import Called, Scope
from gateway_proxy.mcp.versions import GATEWAY, SUPPORTED, is_modern

_CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True},
    "completions": {},
}
_SUBSCRIPTIONS: dict[str, Any] = {**_CAPABILITIES, "resources": {"listChanged": True, "subscribe": True}}


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's own result."""

    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Forward:
    """One request to one server; its result still has to be fitted to the client's era."""

    method: Method
    called: Called


@dataclass(frozen=True, slots=True)
class Listen:
    """A stream of changes: the filter for each server."""

    filters: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Accept:
    """A notification or response, which is not answered (202)."""


Plan = Answer | Forward | Listen | Accept


def plan(message: Message, version: str, scope: Scope) -> Plan:
    """What this message asks for. Raises McpError: unknown methods, and whatever the key's rule refuses."""
    scope.check_server()
    if message.kind == "response":
        return Accept()
    modern = is_modern(version)
    method = find_method(message.method, modern=modern, is_notification=message.kind == "notification")
    if method.is_notification:
        return Accept()
    if method.lists:
        listed = scope.list_things(method.lists, (message.params or {}).get("cursor"))
        return Answer(fit_result(listed, method, client=version))
    if method.name == "subscriptions/listen":
        return Listen(scope.split_subscription(message.params))
    if method.name == "logging/setLevel" and scope.server:
        return Forward(method, Called(scope.server, "", message.params or {}))
    if (judge := _JUDGES.get(method.name)) is not None:
        return Forward(method, judge(scope, message.params))
    return Answer(fit_result(_own_result(method, version, modern), method, client=version))


_JUDGES: dict[str, Callable[[Scope, dict[str, Any] | None], Called]] = {
    "tools/call": lambda scope, params: scope.judge_name("tools", params),
    "prompts/get": lambda scope, params: scope.judge_name("prompts", params),
    "resources/read": lambda scope, params: scope.judge_uri(params),
    "completion/complete": lambda scope, params: scope.judge_completion(params),
    "resources/subscribe": lambda scope, params: scope.judge_uri(params),
    "resources/unsubscribe": lambda scope, params: scope.judge_uri(params),
}


def _own_result(method: Method, version: str, modern: bool) -> dict[str, Any]:
    if method.name == "ping":
        return {}
    if method.name == "server/discover":
        return {"supportedVersions": list(SUPPORTED), "capabilities": _SUBSCRIPTIONS}
    if method.name == "initialize":
        return {"protocolVersion": version, "capabilities": _CAPABILITIES, "serverInfo": GATEWAY}
    # A log level at the endpoint of all: there is no server to set it at.
    raise McpError(METHOD_NOT_FOUND, f"Method not found: {method.name}", status=404 if modern else 200)
