"""What stands before MCP requests."""

from dataclasses import replace
from typing import Any

import pytest

from gateway_proxy.core.errors import Forbidden
from gateway_proxy.core.key import EPHEMERAL, Key, McpScope
from gateway_proxy.core.limiter import Meter
from gateway_proxy.core.policy import KeyPolicy, TokenPolicy, compile_policy
from gateway_proxy.stages.mcp import CallRate, McpRule
from tests.support.exchanges import make_exchange

KEY = Key(id="key_a", name="a", organization="o", owner="local", mcp=McpScope(enabled=True))


def check(policy: KeyPolicy) -> None:
    exchange = make_exchange()
    exchange.policy = policy
    McpRule().check(exchange)


def refused(policy: KeyPolicy) -> str:
    with pytest.raises(Forbidden) as caught:
        check(policy)
    return caught.value.code


def test_mcp_must_be_on_for_the_key_and_its_parent() -> None:
    off = replace(KEY, mcp=McpScope())
    token = replace(KEY, id="key_t", kind=EPHEMERAL, parent_id="key_a")
    check(compile_policy(KEY))
    check(TokenPolicy(token, compile_policy(KEY)))
    assert refused(compile_policy(off)) == "mcp_disabled"
    assert refused(TokenPolicy(token, compile_policy(off))) == "mcp_disabled"


@pytest.mark.parametrize(
    ("endpoints", "passes"), [(None, True), (("chat", "mcp"), True), (("chat",), False), ((), False)]
)
def test_the_endpoint_must_be_in_scope(endpoints: Any, passes: bool) -> None:
    policy = compile_policy(replace(KEY, allowed_endpoints=endpoints))
    if passes:
        check(policy)
    else:
        assert refused(policy) == "endpoint_not_allowed"


def test_a_call_takes_a_request_and_a_slot_and_no_tokens() -> None:
    key = replace(KEY, requests_per_minute=1, tokens_per_minute=1, max_parallel_requests=1)
    exchange = make_exchange()
    exchange.policy = compile_policy(key)
    CallRate().check(exchange)
    assert {claim.meter for claim in exchange.claims} == {Meter.PARALLEL, Meter.REQUESTS}
