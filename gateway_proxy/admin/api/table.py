"""All operations of the admin API. A further resource is a further module with a table of its own."""

import re

from gateway_proxy.admin.api import (
    audit,
    catalog,
    gateways,
    keys,
    logs,
    mcp,
    mcp_logs,
    me,
    members,
    notifications,
    organizations,
    tokens,
    usage,
)
from gateway_proxy.admin.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *keys.OPERATIONS,
    *members.OPERATIONS,
    *organizations.OPERATIONS,
    *tokens.OPERATIONS,
    *gateways.OPERATIONS,
    *catalog.OPERATIONS,
    *mcp.OPERATIONS,
    *logs.OPERATIONS,
    *mcp_logs.OPERATIONS,
    *usage.OPERATIONS,
    *audit.OPERATIONS,
    *notifications.OPERATIONS,
    *me.OPERATIONS,
)
_PATTERNS = [
    (operation, re.compile(re.sub(r"{([a-z_]+)}", r"(?P<\1>[^/]+)", operation.path)))
    for operation in OPERATIONS
]


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation that answers there, and the ids in the path."""
    for operation, pattern in _PATTERNS:
        if operation.method == method and (match := pattern.fullmatch(path)):
            return operation, match.groupdict()
    return None
