"""The key object: one key as the admin API, the dashboard and the command line show it. Never a secret or digest."""

from dataclasses import dataclass
from typing import Any

import orjson

from gateway_proxy.core.clock import format_time
from gateway_proxy.core.key import Key
from gateway_proxy.core.money import format_usd


@dataclass(frozen=True, slots=True)
class KeyStats:
    """What a key has used; lags a few seconds behind."""

    requests: int = 0
    last_used_at: int | None = None  # Unix milliseconds
    usage_percent: float = 0.0
    spent_nanos: int = 0  # since the key was made
    reserved_nanos: int = 0


@dataclass(frozen=True, slots=True)
class LiveOn:
    """How many gateways are attached, and how many of them have applied the key's last change."""

    gateways: int = 0
    acked: int = 0


UNUSED = KeyStats()
NOWHERE = LiveOn()


def scope_members(key: Key) -> dict[str, Any]:
    """The members that a creation or patch may send, as they stand now."""
    return {
        "name": key.name,
        "owner": key.owner,
        "expires_at": format_time(key.expires_at),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "burst": key.burst,
        "max_parallel_requests": key.max_parallel_requests,
        "budget_usd": None if key.budget_nanos is None else format_usd(key.budget_nanos),
        "budget_period": key.budget_period.value,
        "budget_timezone": key.budget_timezone,
        "alert_thresholds": list(key.alert_thresholds),
        "allowed_providers": _listed(key.allowed_providers),
        "allowed_models": _listed(key.allowed_models),
        "allowed_endpoints": _listed(key.allowed_endpoints),
        "ip_allowlist": _listed(key.ip_allowlist),
        "metadata": key.metadata,
        "strict": key.strict,
        "shadow": key.shadow,
        "mcp": {
            "enabled": key.mcp.enabled,
            "access_mode": key.mcp.access_mode.value,
            "servers": list(key.mcp.servers),
            "tools": {server: list(tools) for server, tools in key.mcp.tools.items()},
        },
    }


def key_object(key: Key, now_ms: int, stats: KeyStats = UNUSED, live_on: LiveOn = NOWHERE) -> dict[str, Any]:
    """The JSON object of a key: money as decimal strings, times as RFC 3339."""
    return {
        "id": key.id,
        "kind": key.kind,
        "parent_id": key.parent_id,
        "organization": key.organization,
        "preview": key.preview,
        "status": key.status(now_ms).value,
        "created_at": format_time(key.created_at),
        **scope_members(key),
        "last_used_at": format_time(stats.last_used_at),
        "requests": stats.requests,
        "usage_percent": stats.usage_percent,
        "spent_usd": format_usd(stats.spent_nanos),
        "reserved_usd": format_usd(stats.reserved_nanos),
        "revision": key.revision,
        "live_on": {"gateways": live_on.gateways, "acked": live_on.acked},
    }


def changed_members(before: Key, after: Key) -> dict[str, list[Any]]:
    """What an edit changed, for the change log: member → [before, after]."""
    old, new = scope_members(before), scope_members(after)
    return {member: [old[member], new[member]] for member in old if not _same(old[member], new[member])}


def _same(old: Any, new: Any) -> bool:
    # As JSON, since Python holds 1, 1.0 and true for equal, and metadata may hold any of them.
    return orjson.dumps(old) == orjson.dumps(new)


def _listed(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)
