"""A key: the record that admins edit, and the policy compiled from it once per revision."""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Status(StrEnum):
    REVOKED = "revoked"
    EXPIRED = "expired"
    INACTIVE = "inactive"
    ACTIVE = "active"


class BudgetPeriod(StrEnum):
    TOTAL = "total"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class McpMode(StrEnum):
    ALLOW_ALL = "allow_all"
    DENY_ALL = "deny_all"
    ALLOW_LIST = "allow_list"
    DENY_LIST = "deny_list"


EPHEMERAL = "ephemeral"
"""The kind of a key that is a short-lived token."""


@dataclass(frozen=True, slots=True)
class McpScope:
    """`tools` maps a server to its allowed tools; a server without an entry allows all of them."""

    enabled: bool = False
    access_mode: McpMode = McpMode.ALLOW_ALL
    servers: tuple[str, ...] = ()
    tools: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def allows_server(self, server: str) -> bool:
        """Whether any tool of this server may be called."""
        if not self.enabled or self.access_mode is McpMode.DENY_ALL:
            return False
        if self.access_mode is McpMode.ALLOW_ALL:
            return True
        return (server in self.servers) is (self.access_mode is McpMode.ALLOW_LIST)

    def allows_tool(self, server: str, tool: str) -> bool:
        """Whether this tool of this server may be called."""
        named = self.tools.get(server)
        return self.allows_server(server) and (named is None or tool in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One virtual key. Times are Unix milliseconds; `None` is no limit; empty lists allow nothing.

    `generation` counts what ends the key's ephemeral tokens (rotations, revocations); of a token it is that of its
    parent when it was made. `fading` holds earlier generations that a rotation left a grace: (generation, its end).
    """

    id: str
    name: str
    organization: str
    owner: str  # the member's e-mail, or "local"
    owner_id: str = ""
    kind: str = "key"
    parent_id: str | None = None
    preview: str = ""
    created_at: int = 0
    expires_at: int | None = None
    inactive: bool = False
    revoked_at: int | None = None
    revision: int = 1
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    burst: int | None = None
    max_parallel_requests: int | None = None
    budget_nanos: int | None = None
    budget_period: BudgetPeriod = BudgetPeriod.TOTAL
    budget_timezone: str = "UTC"
    alert_thresholds: tuple[int, ...] = ()
    allowed_providers: tuple[str, ...] | None = None
    allowed_models: tuple[str, ...] | None = None
    allowed_endpoints: tuple[str, ...] | None = None
    ip_allowlist: tuple[str, ...] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    strict: bool = False
    shadow: bool = False
    mcp: McpScope = McpScope()
    generation: int = 1
    fading: tuple[tuple[int, int], ...] = ()

    @property
    def is_ephemeral(self) -> bool:
        return self.kind == EPHEMERAL

    def honours(self, generation: int, now_ms: int) -> bool:
        """Whether ephemeral tokens of this generation of the key still live."""
        if generation == self.generation:
            return True
        return any(earlier == generation and now_ms < end for earlier, end in self.fading)

    def status(self, now_ms: int) -> Status:
        """The first that holds of revoked, expired, inactive, active."""
        if self.revoked_at is not None:
            return Status.REVOKED
        if self.expires_at is not None and now_ms >= self.expires_at:
            return Status.EXPIRED
        return Status.INACTIVE if self.inactive else Status.ACTIVE


# Bound once: looking up an enumeration's member costs a descriptor call each time.
_REVOKED, _EXPIRED, _ACTIVE = Status.REVOKED, Status.EXPIRED, Status.ACTIVE
_RANK = tuple(Status)


def find_token_status(token: Key, parent: Key | None, now_ms: int) -> Status:
    """The gravest of a token's own status and that of the key it was made from; a `parent` of None was deleted.

    Revoked once the parent's generation has gone on.
    """
    if parent is None or not parent.honours(token.generation, now_ms):
        return _REVOKED
    if parent.status(now_ms) is _REVOKED:
        return _REVOKED
    return find_listed_status(token, parent, now_ms)


def find_listed_status(token: Key, parent: Key | None, now_ms: int) -> Status:
    """The same of a token as the store has it, which says itself whether it ended, alone or with its key."""
    own = token.status(now_ms)
    if parent is None or own is _REVOKED or own is _EXPIRED:
        return own
    parents = parent.status(now_ms)
    if own is _ACTIVE or own is parents:
        return parents
    return own if parents is _ACTIVE else min(own, parents, key=_RANK.index)
