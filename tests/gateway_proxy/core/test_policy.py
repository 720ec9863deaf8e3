"""A key's scopes: exact names, prefixes, networks, and what an empty list means."""

import ipaddress

from gateway_proxy.core.limiter import Meter
from gateway_proxy.core.policy import MAX_REMEMBERED_ADDRESSES
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
