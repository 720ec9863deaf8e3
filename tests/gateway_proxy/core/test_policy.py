"""A key's scopes: exact names, prefixes, networks, and what an empty list means."""

import ipaddress
from typing import Any

import pytest

from gateway_proxy.core.key import McpMode, McpScope, Status
from gateway_proxy.core.limiter import Meter
from gateway_proxy.core.policy import MAX_REMEMBERED_ADDRESSES, TokenPolicy, compile_policy
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


def test_a_token_pays_from_its_own_and_its_parents_pockets() -> None:
    parent = make_policy(
        requests_per_minute=5,
        max_parallel_requests=2,
        budget_nanos=9,
        allowed_providers=("a", "b"),
        expires_at=100,
    )
    token = TokenPolicy(
        make_policy(
            id="key_t", kind="ephemeral", parent_id="key_a", tokens_per_minute=3, requests_per_minute=1,
            allowed_providers=("b", "c"), allowed_endpoints=("chat",), expires_at=200,
        ).key,
        parent,
    )  # fmt: skip
    assert token.key_ids == ("key_t", "key_a") and token.strict and not parent.strict
    assert token.providers == {"b"} and token.endpoints == {"chat"}
    assert [(claim.key_id, claim.meter) for claim in token.request_claims] == [
        ("key_t", Meter.REQUESTS), ("key_a", Meter.PARALLEL), ("key_a", Meter.REQUESTS),
    ]  # fmt: skip
    assert token.requests_rules[1][1] is parent.requests_rule  # the same bucket, not one that looks alike
    assert [key_id for key_id, _ in token.tokens_rules] == ["key_t"]
    assert [key.id for key, _ in token.budgets] == ["key_a"]


def test_the_gravest_status_of_a_token_and_its_parent_counts() -> None:
    def status(parent: dict[str, Any], **token: Any) -> Status:
        members = {"id": "key_t", "kind": "ephemeral", "parent_id": "key_a", **token}
        return TokenPolicy(make_policy(**members).key, make_policy(**parent)).status(100)

    assert status({}) is Status.ACTIVE
    assert status({"inactive": True}, expires_at=100) is Status.EXPIRED
    assert status({"expires_at": 100}, inactive=True) is Status.EXPIRED
    assert status({"revoked_at": 1}, expires_at=100) is Status.REVOKED
    assert status({"generation": 2}) is status({}, generation=2) is Status.REVOKED
    assert status({"generation": 2, "fading": ((1, 101),)}) is Status.ACTIVE
    assert TokenPolicy(make_policy(parent_id="key_a").key, None).status(0) is Status.REVOKED


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


def test_a_token_of_a_shadowed_key_is_held_to_its_own_rules_only() -> None:
    rules = {
        "allowed_models": ("m",),
        "requests_per_minute": 1,
        "budget_nanos": 5,
        "ip_allowlist": ("10.0.0.1",),
    }
    parent = compile_policy(make_policy(shadow=True, **rules).key)
    token = TokenPolicy(make_policy(id="key_t", parent_id="key_a", allowed_models=("x",)).key, parent)
    assert token.allows_model("x") and not token.allows_model("m") and token.allows_ip(None)
    assert token.request_claims == () and token.budgets == ()
    assert token.shadow is parent.shadow  # judged beside it, and paid from by it


def test_a_token_may_call_tools_that_both_allow() -> None:
    parent = make_policy(mcp=McpScope(True, McpMode.ALLOW_LIST, ("github",)))
    token = TokenPolicy(make_policy(mcp=McpScope(True, tools={"github": ("search",)})).key, parent)
    assert token.allows_tool("github", "search")
    assert not token.allows_tool("github", "other") and not token.allows_tool("jira", "search")


def test_the_addresses_of_a_parent_hold_for_its_tokens() -> None:
    parent = make_policy(ip_allowlist=("10.0.0.0/8",))
    token = TokenPolicy(make_policy().key, parent)
    assert token.networks == parent.networks and not token.allows_ip(None)
    both = TokenPolicy(make_policy(ip_allowlist=("10.1.0.0/16", "192.0.2.0/24")).key, parent)
    for address, allowed in (("10.1.0.1", True), ("10.2.0.1", False), ("192.0.2.1", False)):
        assert both.allows_ip(ipaddress.ip_address(address)) is allowed


def test_a_token_may_use_servers_that_both_allow() -> None:
    parent = make_policy(mcp=McpScope(True, McpMode.ALLOW_LIST, ("github",)))
    token = TokenPolicy(make_policy(mcp=McpScope(True)).key, parent)
    assert token.allows_server("github") and not token.allows_server("jira")
    assert not TokenPolicy(make_policy().key, parent).allows_server("github")
