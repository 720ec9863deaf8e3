"""Each refusal belongs to one rule."""

import pytest

from gateway_proxy.core.rules import RULES, find_rule


@pytest.mark.parametrize(
    ("code", "status", "rule"),
    [
        ("key_expired", 401, "status"),
        ("model_not_found", 404, "route"),
        ("model_not_found", 403, "model"),
        ("dialect_not_served", 400, "provider"),
        ("cost_unbounded", 403, "price"),
        ("insufficient_quota", 402, "budget"),
        ("invalid_json", 400, ""),
        ("", 200, ""),
    ],
)
def test_the_rule_behind_a_code(code: str, status: int, rule: str) -> None:
    assert find_rule(code, status) == rule
    assert not rule or rule in RULES
