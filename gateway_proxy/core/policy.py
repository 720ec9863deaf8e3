"""A key's scopes and limits in the form that requests are checked against; compiled once per revision."""

import ipaddress
from dataclasses import replace
from typing import Any

from gateway_proxy.core.key import IpAddress, Key, Status, find_token_status
from gateway_proxy.core.limiter import (
    BucketRule,
    BudgetRule,
    Claim,
    Meter,
    bucket_rule,
    budget_rule,
    slots_rule,
)

MAX_REMEMBERED_ADDRESSES = 256
BucketRules = tuple[tuple[str, BucketRule], ...]
Budgets = tuple[tuple[Key, BudgetRule], ...]
_NO_RULE: dict[str, Any] = dict.fromkeys(
    (
        "requests_per_minute", "tokens_per_minute", "burst", "max_parallel_requests", "budget_nanos",
        "allowed_providers", "allowed_models", "allowed_endpoints", "ip_allowlist",
    )
)  # fmt: skip


class KeyPolicy:
    """Immutable but for a small memory of addresses that were looked up.

    `key_ids` are all keys that pay for a request, `requests_rules`, `tokens_rules` and `budgets` the limits of
    those that have one. `shadow` holds the rules of a key that is shadowed: they are judged beside the request and
    refuse nothing.
    """

    __slots__ = (
        "_seen", "budget_rule", "budgets", "endpoints", "exact_models", "key", "key_ids", "limits_rate", "metadata_json",
        "networks", "parent", "prefixes", "providers", "request_claims", "requests_rule", "requests_rules", "shadow", "strict",
        "tokens_rule", "tokens_rules",
    )  # fmt: skip

    def __init__(self, key: Key, metadata_json: str = "{}") -> None:
        self.key = key
        self.key_ids: tuple[str, ...] = (key.id,)
        self.metadata_json = metadata_json
        self.parent: KeyPolicy | None = None
        self.strict = key.strict or key.is_ephemeral
        self.providers = None if key.allowed_providers is None else frozenset(key.allowed_providers)
        self.endpoints = None if key.allowed_endpoints is None else frozenset(key.allowed_endpoints)
        self.networks = (
            None
            if key.ip_allowlist is None
            else tuple(ipaddress.ip_network(text) for text in key.ip_allowlist)
        )
        self.exact_models: frozenset[str] | None = None
        self.prefixes: tuple[str, ...] = ()
        if key.allowed_models is not None:
            self.exact_models = frozenset(name for name in key.allowed_models if not name.endswith("*"))
            self.prefixes = tuple(name[:-1] for name in key.allowed_models if name.endswith("*"))
        self.requests_rule = bucket_rule(key, Meter.REQUESTS)
        self.tokens_rule = bucket_rule(key, Meter.TOKENS)
        self.budget_rule = budget_rule(key)
        self.requests_rules: BucketRules = (
            () if self.requests_rule is None else ((key.id, self.requests_rule),)
        )
        self.tokens_rules: BucketRules = () if self.tokens_rule is None else ((key.id, self.tokens_rule),)
        self.limits_rate = bool(self.requests_rules or self.tokens_rules)
        self.budgets: Budgets = () if self.budget_rule is None else ((key, self.budget_rule),)
        claims = []
        if (slots := slots_rule(key)) is not None:
            claims.append(Claim(key.id, Meter.PARALLEL, slots, 1))
        if self.requests_rule is not None:
            claims.append(Claim(key.id, Meter.REQUESTS, self.requests_rule, 1))
        self.request_claims = tuple(claims)  # what every request claims, whatever it asks
        self.shadow: KeyPolicy | None = None
        self._seen: dict[IpAddress, bool] = {}

    def status(self, now_ms: int) -> Status:
        """The first that holds of revoked, expired, inactive, active."""
        return self.key.status(now_ms)

    def allows_model(self, name: str) -> bool:
        """Whether the canonical requested name is in scope: exact, or a prefix + final `*`."""
        exact = self.exact_models
        return exact is None or name in exact or name.startswith(self.prefixes)

    def allows_provider(self, name: str) -> bool:
        return self.providers is None or name in self.providers

    def allows_endpoint(self, name: str) -> bool:
        return self.endpoints is None or name in self.endpoints

    def allows_server(self, server: str) -> bool:
        """Whether this MCP server may be used at all."""
        return self.key.mcp.allows_server(server)

    def allows_tool(self, server: str, tool: str) -> bool:
        """Whether this tool of this MCP server may be called."""
        return self.key.mcp.allows_tool(server, tool)

    def allows_ip(self, address: IpAddress | None) -> bool:
        """Whether the client address lies in one of the networks; an unknown address never does."""
        if self.networks is None:
            return True
        if address is None:
            return False
        allowed = self._seen.get(address)
        if allowed is None:
            if len(self._seen) >= MAX_REMEMBERED_ADDRESSES:
                self._seen.clear()
            allowed = self._seen[address] = any(address in network for network in self.networks)
        return allowed


class TokenPolicy(KeyPolicy):
    """An ephemeral token that was made from a key: it may what both may, as both stand now, and both pay.

    A `parent` of None is one that was deleted.
    """

    __slots__ = ()

    def __init__(self, key: Key, parent: KeyPolicy | None, metadata_json: str = "{}") -> None:
        super().__init__(key, metadata_json)
        self.parent = parent
        if parent is None:
            return
        self.key_ids += parent.key_ids
        self.providers = _both(self.providers, parent.providers)
        self.endpoints = _both(self.endpoints, parent.endpoints)
        if self.networks is None:
            self.networks = parent.networks
        # The parent's own rules and claims, not copies: a bucket is the same as long as its rule is.
        self.requests_rules += parent.requests_rules
        self.tokens_rules += parent.tokens_rules
        self.limits_rate = bool(self.requests_rules or self.tokens_rules)
        self.budgets += parent.budgets
        self.request_claims += parent.request_claims
        self.shadow = parent.shadow

    def status(self, now_ms: int) -> Status:
        """The gravest of its own and its parent's; revoked once the parent's generation has gone on."""
        parent = self.parent
        return find_token_status(self.key, None if parent is None else parent.key, now_ms)

    def allows_model(self, name: str) -> bool:
        return super().allows_model(name) and (self.parent is None or self.parent.allows_model(name))

    def allows_ip(self, address: IpAddress | None) -> bool:
        return super().allows_ip(address) and (self.parent is None or self.parent.allows_ip(address))

    def allows_server(self, server: str) -> bool:
        return super().allows_server(server) and (self.parent is None or self.parent.allows_server(server))

    def allows_tool(self, server: str, tool: str) -> bool:
        return super().allows_tool(server, tool) and (
            self.parent is None or self.parent.allows_tool(server, tool)
        )


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def compile_policy(key: Key, metadata_json: str = "{}") -> KeyPolicy:
    """What requests of this key are checked against. Raises ValueError for a network that is none.

    A shadowed key has no rule but its status and its MCP scope; those that it would have hang beside, so that no
    other key pays for the difference.
    """
    if not key.shadow:
        return KeyPolicy(key, metadata_json)
    policy = KeyPolicy(replace(key, **_NO_RULE), metadata_json)
    policy.shadow = KeyPolicy(key, metadata_json)
    return policy
