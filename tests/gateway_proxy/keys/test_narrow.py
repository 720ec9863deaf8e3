"""Narrowing: over random scopes a token may never what its parent may not, and may what both allow."""

import ipaddress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.key import Key, McpMode, McpScope
from gateway_proxy.core.policy import KeyPolicy, TokenPolicy
from gateway_proxy.keys.draft import DraftError, apply_creation
from gateway_proxy.keys.narrow import narrow, narrow_mcp
from gateway_proxy.keys.token import read_token, write_token
from tests.support.ephemeral import NOW, PARENT, believing, signer

TOKEN_ID = "key_01k0000000000000000000000t"
PROVIDERS = ("openai", "anthropic", "gemini")
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4", "claude-3", "claude-3.5-sonnet", "m")
PATTERNS = (*MODELS, "*", "gpt*", "gpt-4o*", "gpt-4o-*", "claude-*", "c*", "claude-3.5-*")
ENDPOINTS = ("chat", "embeddings", "responses")
NETWORKS = (
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "192.0.2.0/24",
    "2001:db8::/32",
    "2001:db8::1",
    "0.0.0.0/0",
    "::/0",
)
ADDRESSES = tuple(
    map(
        ipaddress.ip_address,
        ("10.0.0.1", "10.1.0.1", "10.1.2.3", "192.0.2.7", "2001:db8::1", "2001:db8::2", "198.51.100.1"),
    )
)
SERVERS = ("github", "jira", "mail")
TOOLS = ("read", "write", "search")
LIMITS = ("requests_per_minute", "tokens_per_minute", "burst", "max_parallel_requests")


def some(*names: str) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.sampled_from(names), max_size=4, unique=True)


MCP = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "access_mode": st.sampled_from([mode.value for mode in McpMode]),
        "servers": st.lists(st.sampled_from(SERVERS), max_size=3, unique=True),
        "tools": st.dictionaries(
            st.sampled_from(SERVERS), st.lists(st.sampled_from(TOOLS), max_size=2, unique=True)
        ),
    },
)
SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "allowed_providers": some(*PROVIDERS),
        "allowed_models": some(*PATTERNS),
        "allowed_endpoints": some(*ENDPOINTS),
        "ip_allowlist": some(*NETWORKS),
        "mcp": MCP,
        "budget_usd": st.none() | st.integers(0, 3),
        **{name: st.none() | st.integers(0, 3) for name in LIMITS},
    },
)


def parent_of(scopes: dict[str, Any]) -> Key:
    return apply_creation(PARENT, {"name": "parent", **scopes}, NOW)


def may(policy: KeyPolicy) -> set[object]:
    """Everything that a policy allows, of all that there is to ask here."""
    allowed: set[object] = {
        ("model", name) for name in (*MODELS, "gpt-4o-mini-2") if policy.allows_model(name)
    }
    allowed |= {("provider", name) for name in PROVIDERS if policy.allows_provider(name)}
    allowed |= {("endpoint", name) for name in ENDPOINTS if policy.allows_endpoint(name)}
    return allowed | {address for address in (*ADDRESSES, None) if policy.allows_ip(address)}


def tools(scope: McpScope) -> set[tuple[str, str]]:
    return {(server, tool) for server in SERVERS for tool in TOOLS if scope.allows_tool(server, tool)}


@pytest.mark.slow
@settings(max_examples=120)
@given(has=SCOPES, asks=SCOPES)
def test_a_token_may_what_both_allow(has: dict[str, Any], asks: dict[str, Any]) -> None:
    parent = parent_of(has)
    try:
        token, inherited = narrow(parent, asks, TOKEN_ID, NOW)
    except DraftError as error:
        # Refused only where what was asked for by name would be nothing at all.
        for mistake in error.errors:
            if mistake.path == "mcp":
                assert asks["mcp"]["enabled"] and not parent.mcp.enabled
            else:
                assert asks[mistake.path] and getattr(parent, mistake.path) is not None
        return
    blank = Key(id="key_x", name="x", organization="default", owner="local")
    asked = apply_creation(replace(blank, mcp=McpScope(enabled=True)), {"name": "x", **asks}, NOW)
    both = may(KeyPolicy(parent)) & may(KeyPolicy(asked))
    assert may(KeyPolicy(token)) == both  # by what it says itself
    assert may(TokenPolicy(token, KeyPolicy(parent))) == both
    assert tools(token.mcp) == tools(parent.mcp) & tools(
        asked.mcp if asks.get("mcp") is not None else parent.mcp
    )
    for name in (*LIMITS, "budget_nanos"):
        own, ceiling, wanted = getattr(token, name), getattr(parent, name), getattr(asked, name)
        assert own == (None if wanted is None else wanted if ceiling is None else min(wanted, ceiling))
    # What is left out of the text because it is inherited is the parent's to judge.
    bare = replace(token, **{member: getattr(blank, member) for member in inherited})
    verified = read_token(write_token(bare, signer()), believing(), NOW)
    assert verified is not None and may(TokenPolicy(verified.key, KeyPolicy(parent))) == both


@settings(max_examples=100)
@given(one=MCP, other=MCP)
def test_tools_are_those_of_both(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (parent_of({"mcp": scope}).mcp for scope in (one, other))
    assert tools(narrow_mcp(first, second)) == tools(first) & tools(second)
    assert tools(narrow_mcp(second, first)) == tools(first) & tools(second)


@pytest.mark.slow
@settings(max_examples=60)
@given(has=SCOPES, asks=SCOPES, later=SCOPES)
def test_what_a_parent_loses_its_tokens_lose(
    has: dict[str, Any], asks: dict[str, Any], later: dict[str, Any]
) -> None:
    try:
        token, _ = narrow(parent_of(has), asks, TOKEN_ID, NOW)
    except DraftError:
        return
    now = KeyPolicy(parent_of(later))
    policy = TokenPolicy(token, now)
    assert may(policy) == may(KeyPolicy(token)) & may(now)
    own = KeyPolicy(token)
    assert policy.request_claims == own.request_claims + now.request_claims
    assert policy.budgets == own.budgets + now.budgets
    assert policy.key_ids == (token.id, PARENT.id)


def test_what_is_not_asked_for_is_the_parents() -> None:
    parent = replace(
        PARENT, generation=4, metadata={"team": "a"}, owner_id="mem_1", allowed_models=("a", "b"), mcp=McpScope(True),
        budget_nanos=5, requests_per_minute=7,
    )  # fmt: skip
    token, inherited = narrow(parent, {}, TOKEN_ID, NOW)
    assert (token.name, token.owner, token.owner_id, token.organization) == (
        "parent (ephemeral)", parent.owner, "mem_1", "default",
    )  # fmt: skip
    assert (token.kind, token.parent_id, token.generation, token.metadata) == (
        "ephemeral",
        parent.id,
        4,
        {"team": "a"},
    )
    assert token.allowed_models == ("a", "b") and token.mcp == parent.mcp
    assert (token.created_at, token.expires_at) == (NOW, NOW + 3_600_000)
    assert token.budget_nanos is None and token.requests_per_minute is None  # the parent's hold
    assert inherited == {"allowed_providers", "allowed_models", "allowed_endpoints", "ip_allowlist", "mcp"}


@pytest.mark.parametrize(
    ("ttl", "parent_ends", "ends"),
    [
        (None, None, 3600), (1, None, 1), (86_400, None, 86_400), (60, NOW + 30_000, 30), (60, NOW + 60_000, 60),
        (60, NOW + 30_999, 30), (60, NOW + 90_000, 60),
    ],
)  # fmt: skip
def test_a_token_never_outlives_its_parent(ttl: int | None, parent_ends: int | None, ends: int) -> None:
    document = {} if ttl is None else {"ttl_seconds": ttl}
    token, _ = narrow(replace(PARENT, expires_at=parent_ends), document, TOKEN_ID, NOW)
    assert token.expires_at == NOW + ends * 1000


@pytest.mark.parametrize("ttl", [0, -1, 86_401, 1.5, "60", True, [], {}])
def test_other_lives_are_refused(ttl: object) -> None:
    with pytest.raises(DraftError) as caught:
        narrow(PARENT, {"ttl_seconds": ttl}, TOKEN_ID, NOW)
    assert [error.path for error in caught.value.errors] == ["ttl_seconds"]


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        (None, [""]),
        ([], [""]),
        ({"owner": "eve@example.com"}, ["owner"]),
        (
            {"expires_in": "1y", "budget_period": "day", "ephemeral": True},
            ["expires_in", "budget_period", "ephemeral"],
        ),
        ({"metadata": {"team": "b"}, "strict": False}, ["metadata", "strict"]),
        ({"budget_usd": 0.5}, ["budget_usd"]),
        ({"requests_per_minute": -1, "allowed_models": ["other"]}, ["requests_per_minute"]),
        (
            {"allowed_models": ["other", "gpt*"], "allowed_providers": ["anthropic"]},
            ["allowed_providers", "allowed_models"],
        ),
        ({"mcp": {"enabled": True}}, ["mcp"]),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(document: object, paths: list[str]) -> None:
    parent = replace(PARENT, allowed_models=("claude-*",), allowed_providers=("openai",))
    with pytest.raises(DraftError) as caught:
        narrow(parent, document, TOKEN_ID, NOW)
    assert [error.path for error in caught.value.errors] == paths


def test_a_long_name_stays_within_its_length() -> None:
    token, _ = narrow(replace(PARENT, name="n" * 128), {}, TOKEN_ID, NOW)
    assert len(token.name) == 128 and token.name.endswith(" (ephemeral)")


def test_the_lists_of_a_shadowed_key_are_not_passed_on_unasked() -> None:
    parent = replace(PARENT, shadow=True, allowed_models=("a", "b"), allowed_providers=("openai",))
    token, _ = narrow(parent, {"allowed_models": ["b", "c"]}, TOKEN_ID, NOW)
    assert (token.allowed_models, token.allowed_providers, token.shadow) == (("b",), None, False)
