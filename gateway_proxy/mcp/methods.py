"""The methods that the gateway offers, and what each names. What is not here is not passed on.

Sources: the schema of MCP 2026-07-28, and those of 2025-11-25 and back for what only exists there. Tasks are offered
in no revision: their results would arrive outside the call that was judged and paid for.
"""

from dataclasses import dataclass

from gateway_proxy.mcp.errors import METHOD_NOT_FOUND, McpError


@dataclass(frozen=True, slots=True)
class Method:
    """`names` is the member of the params that says which tool, prompt or resource is meant, `mirrored` whether the
    header Mcp-Name repeats it, `lists` the member of the result that holds a list.
    """

    name: str
    names: str = ""
    lists: str = ""
    mirrored: bool = False
    is_notification: bool = False
    is_cacheable: bool = False
    in_modern: bool = True
    in_legacy: bool = True


_ALL = (
    Method("tools/list", lists="tools", is_cacheable=True),
    Method("prompts/list", lists="prompts", is_cacheable=True),
    Method("resources/list", lists="resources", is_cacheable=True),
    Method("resources/templates/list", lists="resourceTemplates", is_cacheable=True),
    Method("tools/call", names="name", mirrored=True),
    Method("prompts/get", names="name", mirrored=True),
    Method("resources/read", names="uri", mirrored=True, is_cacheable=True),
    Method("completion/complete", names="ref"),
    Method("server/discover", is_cacheable=True, in_legacy=False),
    Method("subscriptions/listen", names="notifications", in_legacy=False),
    Method("initialize", in_modern=False),
    Method("ping", in_modern=False),
    Method("logging/setLevel", in_modern=False),
    Method("resources/subscribe", names="uri", in_modern=False),
    Method("resources/unsubscribe", names="uri", in_modern=False),
    Method("notifications/cancelled", is_notification=True),
    Method("notifications/initialized", is_notification=True, in_modern=False),
    Method("notifications/progress", is_notification=True, in_modern=False),
    Method("notifications/roots/list_changed", is_notification=True, in_modern=False),
)
METHODS = {method.name: method for method in _ALL}


def find_method(name: str, *, modern: bool, is_notification: bool = False) -> Method:
    """The method of this name in this era. Raises McpError -32601, which is 404 in the modern era."""
    method = METHODS.get(name)
    if (
        method is None
        or method.is_notification is not is_notification
        or not (method.in_modern if modern else method.in_legacy)
    ):
        raise McpError(METHOD_NOT_FOUND, f"Method not found: {name}", status=404 if modern else 200)
    return method
