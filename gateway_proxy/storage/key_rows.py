"""A `Key` as a row and back. The columns are what is searched and sorted; the rest is one JSON text."""

from functools import lru_cache
from sys import intern
from typing import Any

import orjson

from gateway_proxy.core.key import BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.storage.database import Row

COLUMNS = (
    "id", "organization", "name", "search", "owner", "owner_id", "kind", "parent_id", "preview", "created_at",
    "expires_at", "inactive", "revoked_at", "revision", "policy_json",
)  # fmt: skip
# With the alias that queries give to the table.
SELECTED = ", ".join(f"k.{name}" for name in COLUMNS)
# Written only where it differs from the default of `Key`: most keys use few of them, and all are read at start.
_POLICY = (
    "requests_per_minute", "tokens_per_minute", "burst", "max_parallel_requests", "budget_nanos", "budget_period",
    "budget_timezone", "alert_thresholds", "allowed_providers", "allowed_models", "allowed_endpoints",
    "ip_allowlist", "metadata", "strict", "shadow", "mcp", "generation", "fading",
)  # fmt: skip
_TUPLES = ("alert_thresholds", "allowed_providers", "allowed_models", "allowed_endpoints", "ip_allowlist")
_DEFAULT = Key(id="", name="", organization="", owner="")


def search_text(name: str, preview: str) -> str:
    """What a search looks at; a line feed sorts before all that a name may contain."""
    return f"{name.casefold()}\n{preview.casefold()}"


def key_to_row(key: Key) -> Row:
    return (
        key.id, key.organization, key.name, search_text(key.name, key.preview), key.owner, key.owner_id, key.kind,
        key.parent_id, key.preview, key.created_at, key.expires_at, int(key.inactive), key.revoked_at, key.revision,
        orjson.dumps(_policy(key)).decode(),
    )  # fmt: skip


def row_to_key(row: Row) -> Key:
    """The inverse of `key_to_row`; columns beyond the key's own are ignored.

    Keys that say the same share it: do not change a key's metadata or tools in place.
    """
    (id_, organization, name, _, owner, owner_id, kind, parent_id, preview, created_at, expires_at, inactive,
     revoked_at, revision, policy_json) = row[: len(COLUMNS)]  # fmt: skip
    return Key(
        id=id_,
        organization=intern(organization),
        name=name,
        owner=intern(owner),
        owner_id=intern(owner_id),
        kind=intern(kind),
        parent_id=parent_id,
        preview=preview,
        created_at=created_at,
        expires_at=expires_at,
        inactive=bool(inactive),
        revoked_at=revoked_at,
        revision=revision,
        **_read_policy(policy_json),
    )


@lru_cache(maxsize=1024)
def _read_policy(policy_json: str) -> dict[str, Any]:
    policy: dict[str, Any] = orjson.loads(policy_json)
    for field in _TUPLES:
        if field in policy:
            policy[field] = tuple(policy[field])
    if "fading" in policy:
        policy["fading"] = tuple((generation, end) for generation, end in policy["fading"])
    if "budget_period" in policy:
        policy["budget_period"] = BudgetPeriod(policy["budget_period"])
    if "mcp" in policy:
        policy["mcp"] = _mcp(policy["mcp"])
    return policy


def _policy(key: Key) -> dict[str, Any]:
    # orjson writes the nested dataclass (mcp), enums and tuples as they are.
    return {name: value for name in _POLICY if (value := getattr(key, name)) != getattr(_DEFAULT, name)}


def _mcp(value: dict[str, Any]) -> McpScope:
    return McpScope(
        enabled=value["enabled"],
        access_mode=McpMode(value["access_mode"]),
        servers=tuple(value["servers"]),
        tools={server: tuple(tools) for server, tools in value["tools"].items()},
    )
