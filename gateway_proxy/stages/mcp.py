"""What stands before an MCP request instead of the rules for models: MCP must be on for the key, the endpoint in its scope.

Which server and tool may be used is decided by `mcp.scope`, over the lists that the key sees. A call is one request; it
takes nothing of a tokens limit.
"""

from typing import ClassVar

from gateway_proxy.core.errors import Forbidden
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.policy import KeyPolicy

OPERATION = "mcp"


def check_enabled(policy: KeyPolicy) -> None:
    """Raises Forbidden (mcp_disabled) where the key, or the one that its token was made from, has MCP off."""
    each: KeyPolicy | None = policy
    while each is not None:
        if not each.key.mcp.enabled:
            raise Forbidden("This API key may not use MCP.", code="mcp_disabled")
        each = each.parent


def check_endpoint(policy: KeyPolicy) -> None:
    """Raises Forbidden (endpoint_not_allowed) where the key's endpoints leave MCP out."""
    if policy.endpoints is not None and OPERATION not in policy.endpoints:
        raise Forbidden("This API key may not use this endpoint.", code="endpoint_not_allowed")


class McpRule:
    name: ClassVar[str] = "mcp"
    rules: ClassVar[tuple[str, ...]] = ("mcp", "endpoint")
    needs_body: ClassVar[bool] = True

    def check(self, exchange: Exchange) -> None:
        policy = exchange.policy
        assert policy is not None
        check_enabled(policy)
        check_endpoint(policy)


class CallRate:
    name: ClassVar[str] = "rate"
    rules: ClassVar[tuple[str, ...]] = ()  # what does not fit is refused by admission
    needs_body: ClassVar[bool] = True

    def check(self, exchange: Exchange) -> None:
        policy = exchange.policy
        assert policy is not None
        exchange.claims.extend(policy.request_claims)
