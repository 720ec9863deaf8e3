"""What an ephemeral token may: the scopes of its parent, narrowed by what was asked for. Pure, no I/O.

The result never allows what the parent does not. Asking for more than the parent has is no mistake as long as
something is left; asking only for what the parent has not is one, since the token could do nothing. The lists of a
shadowed parent, which refuse nothing, are not passed on unasked.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway_proxy.core.key import EPHEMERAL, BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.keys.draft import DraftError, read_narrowing
from gateway_proxy.keys.fields import NAME_LENGTH, FieldError

_LIMITS = ("requests_per_minute", "tokens_per_minute", "max_parallel_requests", "burst", "budget_nanos")


def narrow(parent: Key, document: object, key_id: str, now_ms: int) -> tuple[Key, frozenset[str]]:
    """The token's key, and the scopes that it has from the parent alone. Raises DraftError.

    `document` holds `ttl_seconds` and scopes as in the creation of a key.
    """
    blank = Key(id=key_id, name=_name_after(parent), organization=parent.organization, owner=parent.owner)
    asked, ttl_seconds = read_narrowing(document, blank, now_ms)
    lists: dict[str, Any] = {
        "allowed_providers": _common(parent.allowed_providers, asked.allowed_providers, _same),
        "allowed_models": _common(parent.allowed_models, asked.allowed_models, _narrower_model),
        "allowed_endpoints": _common(parent.allowed_endpoints, asked.allowed_endpoints, _same),
        "ip_allowlist": _common(parent.ip_allowlist, asked.ip_allowlist, _narrower_network),
    }
    inherited = frozenset(name for name in lists if getattr(asked, name) is None)
    if parent.shadow:
        lists |= dict.fromkeys(inherited)
    errors = [
        FieldError(
            member, f"names nothing that the parent allows; it allows {_listed(getattr(parent, member))}"
        )
        for member, names in lists.items()
        if names == () and getattr(asked, member)
    ]
    mcp = document.get("mcp") if isinstance(document, dict) else None
    if mcp and mcp.get("enabled") and not parent.mcp.enabled:
        errors.append(FieldError("mcp", "is not allowed to the parent"))
    if errors:
        raise DraftError(errors)
    ends_s = now_ms // 1000 + ttl_seconds
    if parent.expires_at is not None:
        ends_s = min(ends_s, parent.expires_at // 1000)
    token = replace(
        asked,
        kind=EPHEMERAL,
        parent_id=parent.id,
        owner_id=parent.owner_id,
        created_at=now_ms,
        expires_at=ends_s * 1000,
        budget_period=BudgetPeriod.TOTAL,
        metadata=parent.metadata,
        mcp=narrow_mcp(parent.mcp, asked.mcp),
        generation=parent.generation,
        **lists,
        **_least(parent, asked),
    )
    return token, inherited | {"mcp"} if mcp is None else inherited


def narrow_mcp(parent: McpScope, asked: McpScope) -> McpScope:
    """The scope that allows exactly the tools that both allow."""
    mode, servers = _narrower_mode(parent, asked)
    tools = dict(parent.tools)
    for server, names in asked.tools.items():
        others = tools.get(server)
        tools[server] = names if others is None else tuple(name for name in names if name in others)
    return McpScope(parent.enabled and asked.enabled, mode, servers, tools)


def _narrower_mode(parent: McpScope, asked: McpScope) -> tuple[McpMode, tuple[str, ...]]:
    modes = {parent.access_mode, asked.access_mode}
    if McpMode.DENY_ALL in modes:
        return McpMode.DENY_ALL, ()
    if McpMode.ALLOW_LIST in modes:
        lists = [scope.servers for scope in (parent, asked) if scope.access_mode is McpMode.ALLOW_LIST]
        denied = {
            s for scope in (parent, asked) if scope.access_mode is McpMode.DENY_LIST for s in scope.servers
        }
        kept = [s for s in lists[0] if all(s in names for names in lists) and s not in denied]
        return McpMode.ALLOW_LIST, tuple(kept)
    listed = [s for scope in (parent, asked) if scope.access_mode is McpMode.DENY_LIST for s in scope.servers]
    if McpMode.DENY_LIST in modes:
        return McpMode.DENY_LIST, tuple(dict.fromkeys(listed))
    return McpMode.ALLOW_ALL, ()


def _least(parent: Key, asked: Key) -> dict[str, Any]:
    """The limits that were asked for, none above the parent's. Without one of its own the parent's alone holds."""
    least: dict[str, Any] = {}
    for name in _LIMITS:
        own, ceiling = getattr(asked, name), getattr(parent, name)
        least[name] = own if own is None or ceiling is None else min(own, ceiling)
    return least


def _common(
    parent: tuple[str, ...] | None, asked: tuple[str, ...] | None, narrower: Callable[[str, str], str | None]
) -> tuple[str, ...] | None:
    """What both lists allow; None is everything."""
    if parent is None or asked is None:
        return asked if parent is None else parent
    both = (narrower(one, other) for one in asked for other in parent)
    return tuple(dict.fromkeys(name for name in both if name is not None))


def _same(one: str, other: str) -> str | None:
    return one if one == other else None


def _narrower_model(one: str, other: str) -> str | None:
    """Of two exact names or prefixes the one that the other covers."""
    for inner, outer in ((one, other), (other, one)):
        if inner == outer or (outer.endswith("*") and inner.startswith(outer[:-1])):
            return inner
    return None


def _narrower_network(one: str, other: str) -> str | None:
    for inner, outer in ((one, other), (other, one)):
        small, large = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
        if small.version == large.version and small.subnet_of(large):  # type: ignore[arg-type]
            return inner
    return None


def _listed(names: tuple[str, ...] | None) -> str:
    if not names:
        return "none"
    return ", ".join(names[:10]) + (" …" if len(names) > 10 else "")


def _name_after(parent: Key) -> str:
    suffix = " (ephemeral)"
    return parent.name[: NAME_LENGTH - len(suffix)].rstrip() + suffix
