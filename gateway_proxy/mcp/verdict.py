"""Which rule of a key decided on a call: for the log, never for the decision itself."""

from gateway_proxy.core.key import McpMode, McpScope
from gateway_proxy.core.policy import KeyPolicy

UNKNOWN = "unknown"
"""Nothing of the name exists, so no rule was asked."""


def name_rule(policy: KeyPolicy, server: str, tool: str | None) -> str:
    """The access mode, or `tools` where the key's list of this server's tools decided; `tool` None: prompts and resources.

    Of a token and its key it is the one that refused; `parent: ` stands before the key's.
    """
    each: KeyPolicy | None = policy
    prefix = ""
    while each is not None:
        scope = each.key.mcp
        allowed = scope.allows_server(server) if tool is None else scope.allows_tool(server, tool)
        if not allowed or each.parent is None:
            return prefix + _name(scope, server, tool)
        each, prefix = each.parent, "parent: "
    raise AssertionError("unreachable")


def _name(scope: McpScope, server: str, tool: str | None) -> str:
    if not scope.enabled:
        return "mcp_disabled"
    if scope.access_mode is McpMode.DENY_ALL or not scope.allows_server(server):
        return str(scope.access_mode.value)
    return "tools" if tool is not None and server in scope.tools else str(scope.access_mode.value)
