"""A key's scopes: exact names, prefixes, networks, and what an empty list means."""

import ipaddress
from typing import Any

from gateway_proxy.core.key import Status
from gateway_proxy.core.limiter import Meter
from gateway_proxy.core.policy import MAX_REMEMBERED_ADDRESSES, TokenPolicy
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
