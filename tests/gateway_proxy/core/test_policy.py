"""A key's scopes: exact names, prefixes, networks, and what an empty list means."""

import ipaddress

import pytest

from gateway_proxy.core.key import McpMode, McpScope
from gateway_proxy.core.limiter import Meter
from gateway_proxy.core.policy import MAX_REMEMBERED_ADDRESSES, compile_policy
from tests.support.exchanges import make_policy


def test_no_restriction_and_nothing_allowed() -> None:
    free = make_policy()
    assert (
        free.allows_model("m")
        and free.allows_provider("p")
        and free.allows_endpoint("chat")
        and free.allows_ip(None)
    )
    closed = make_policy(allowed_models=(), allowed_providers=(), allowed_endpoints=(), ip_allowlist=())
    assert (
        not closed.allows_model("m")
        and not closed.allows_provider("p")
        and not closed.allows_endpoint("chat")
    )
    assert not closed.allows_ip(ipaddress.ip_address("127.0.0.1"))


def test_models_are_exact_or_a_prefix() -> None:
    policy = make_policy(allowed_models=("gpt-4o", "claude-3.5-*"))
    assert (
        policy.allows_model("gpt-4o")
        and policy.allows_model("claude-3.5-sonnet")
        and policy.allows_model("claude-3.5-")
    )
    for name in ("gpt-4o-mini", "GPT-4o", "gpt-4o ", "claude-3.5", "xclaude-3.5-a", "claude-3.5-*"[:-2]):
        assert not policy.allows_model(name)
    assert make_policy(allowed_models=("*",)).allows_model("anything")


def test_addresses_are_looked_up_and_remembered_within_bounds() -> None:
    policy = make_policy(ip_allowlist=("10.0.0.0/8", "2001:db8::/32"))
    for number in range(MAX_REMEMBERED_ADDRESSES * 2):
        assert policy.allows_ip(ipaddress.IPv4Address(0x0A000000 + number))
        assert not policy.allows_ip(ipaddress.IPv4Address(0x0B000000 + number))
    assert len(policy._seen) <= MAX_REMEMBERED_ADDRESSES
    assert policy.allows_ip(ipaddress.ip_address("2001:db8::1"))
    assert not policy.allows_ip(None)


def test_what_each_request_claims() -> None:
    policy = make_policy(max_parallel_requests=3, requests_per_minute=10, tokens_per_minute=100)
    assert [(claim.meter, claim.amount) for claim in policy.request_claims] == [
        (Meter.PARALLEL, 1),
        (Meter.REQUESTS, 1),
    ]
    assert make_policy().request_claims == ()


def test_a_shadowed_key_has_its_rules_beside_it() -> None:
    key = make_policy(
        shadow=True, requests_per_minute=1, tokens_per_minute=1, burst=1, max_parallel_requests=1, budget_nanos=1,
        allowed_models=(), allowed_providers=(), allowed_endpoints=(), ip_allowlist=(), expires_at=5, inactive=True,
    ).key  # fmt: skip
    policy = compile_policy(key)
    assert policy.allows_model("m") and policy.allows_provider("p") and policy.allows_endpoint("chat")
    assert policy.allows_ip(None) and policy.request_claims == ()
    assert policy.tokens_rule is None and policy.budget_rule is None
    assert (policy.key.id, policy.key.expires_at, policy.key.inactive) == (key.id, 5, True)
    assert policy.shadow is not None and policy.shadow.key is key and not policy.shadow.allows_model("m")
    assert compile_policy(make_policy().key).shadow is None


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (McpScope(), False),
        (McpScope(True), True),
        (McpScope(True, McpMode.DENY_ALL, ("github",)), False),
        (McpScope(True, McpMode.ALLOW_LIST), False),
        (McpScope(True, McpMode.ALLOW_LIST, ("github",)), True),
        (McpScope(True, McpMode.DENY_LIST), True),
        (McpScope(True, McpMode.DENY_LIST, ("github",), {"github": ("search",)}), False),
        (McpScope(True, McpMode.ALLOW_ALL, (), {"github": ()}), False),
        (McpScope(True, McpMode.ALLOW_ALL, (), {"github": ("search",)}), True),
        (McpScope(True, McpMode.ALLOW_ALL, (), {"other": ()}), True),
    ],
)
def test_tools_of_mcp_servers(scope: McpScope, allowed: bool) -> None:
    assert make_policy(mcp=scope).allows_tool("github", "search") is allowed
