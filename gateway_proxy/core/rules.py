"""The rules that a request is judged by, in the order of the pipeline, and which of them each refusal comes from.

Names and codes only; the rules themselves are in `stages/`.
"""

RULES = ("status", "network", "route", "endpoint", "model", "provider", "price", "rate", "budget")

_CODES = {
    "status": ("missing_api_key", "invalid_api_key", "conflicting_credentials", "key_expired", "key_inactive", "key_revoked"),
    "network": ("ip_not_allowed",),
    "endpoint": ("endpoint_not_allowed",),
    "model": ("model_not_found",),
    "provider": ("provider_not_allowed", "dialect_not_served", "not_translatable"),
    "price": ("model_unpriced", "cost_unbounded", "budget_unverifiable"),
    "rate": ("rate_limit_exceeded",),
    "budget": ("insufficient_quota",),
}  # fmt: skip
_RULE_OF_CODE = {code: rule for rule, codes in _CODES.items() for code in codes}


def find_rule(code: str, status: int) -> str:
    """The rule that refuses with this code; "" for what is no rule of a key."""
    if code == "model_not_found" and status == 404:
        return "route"
    return _RULE_OF_CODE.get(code, "")
