"""The rule that decided, by its name; it never contradicts the decision."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from gateway_proxy.core.key import EPHEMERAL, Key, McpMode, McpScope
from gateway_proxy.core.policy import TokenPolicy, compile_policy
from gateway_proxy.mcp.verdict import name_rule

KEY = Key(id="key_a", name="a", organization="o", owner="local")


@pytest.mark.parametrize(
    ("members", "tool", "rule"),
    [
        ({"enabled": False}, "x", "mcp_disabled"),
        ({"access_mode": McpMode.DENY_ALL}, "x", "deny_all"),
        ({}, "x", "allow_all"),
        ({"access_mode": McpMode.ALLOW_LIST}, "x", "allow_list"),
        ({"access_mode": McpMode.ALLOW_LIST, "servers": ("s",)}, "x", "allow_list"),
        ({"access_mode": McpMode.DENY_LIST, "servers": ("s",), "tools": {"s": ("x",)}}, "x", "deny_list"),
        ({"tools": {"s": ("x",)}}, "x", "tools"),
        ({"tools": {"s": ()}}, "x", "tools"),
        ({"tools": {"s": ()}}, None, "allow_all"),
    ],
)
def test_what_decided(members: dict[str, Any], tool: str | None, rule: str) -> None:
    scope = McpScope(**{"enabled": True, **members})
    assert name_rule(compile_policy(replace(KEY, mcp=scope)), "s", tool) == rule


def test_of_a_token_and_its_key_the_one_that_refused() -> None:
    open_, closed = McpScope(enabled=True), McpScope(enabled=True, tools={"s": ()})
    for own, parents in product((open_, closed), repeat=2):
        token = replace(KEY, id="key_t", kind=EPHEMERAL, parent_id="key_a", mcp=own)
        policy = TokenPolicy(token, compile_policy(replace(KEY, mcp=parents)))
        expected = "tools" if own is closed else "parent: tools" if parents is closed else "parent: allow_all"
        assert name_rule(policy, "s", "x") == expected
