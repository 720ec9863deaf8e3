"""A key's scopes and limits in the form that requests are checked against; compiled once per revision."""

import ipaddress

from gateway_proxy.core.key import IpAddress, Key
from gateway_proxy.core.limiter import Claim, Meter, bucket_rule, budget_rule, slots_rule

MAX_REMEMBERED_ADDRESSES = 256


class KeyPolicy:
    """Immutable but for a small memory of addresses that were looked up."""

    __slots__ = (
        "_seen", "budget_rule", "endpoints", "exact_models", "key", "key_ids", "limits_rate", "metadata_json", "networks", "prefixes", "providers",
        "request_claims", "requests_rule", "tokens_rule",
    )  # fmt: skip

    def __init__(self, key: Key, metadata_json: str = "{}") -> None:
        self.key = key
        self.key_ids = (key.id,)
        self.metadata_json = metadata_json
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
        self.limits_rate = self.requests_rule is not None or self.tokens_rule is not None
        claims = []
        if (slots := slots_rule(key)) is not None:
            claims.append(Claim(key.id, Meter.PARALLEL, slots, 1))
        if self.requests_rule is not None:
            claims.append(Claim(key.id, Meter.REQUESTS, self.requests_rule, 1))
        self.request_claims = tuple(claims)  # what every request claims, whatever it asks
        self._seen: dict[IpAddress, bool] = {}

    def allows_model(self, name: str) -> bool:
        """Whether the canonical requested name is in scope: exact, or a prefix + final `*`."""
        exact = self.exact_models
        return exact is None or name in exact or (bool(self.prefixes) and name.startswith(self.prefixes))

    def allows_provider(self, name: str) -> bool:
        return self.providers is None or name in self.providers

    def allows_endpoint(self, name: str) -> bool:
        return self.endpoints is None or name in self.endpoints

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
