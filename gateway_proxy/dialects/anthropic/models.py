"""What the API tells nobody about its models beforehand: the largest maximum that they take, and how they are told to think.

By name, for names as the provider has them. A newer model than this table knows is taken for one of the newest generation.
"""

import re

_LARGEST = (
    ("claude-3-5-", 8192),
    ("claude-3-7-", 64_000),
    ("claude-3-", 4096),
    ("claude-opus-4-0", 32_000),
    ("claude-opus-4-1", 32_000),
    ("claude-opus-4-2025", 32_000),
    ("claude-", 64_000),
)
_UNKNOWN_LARGEST = 8192
# Up to 4.5 thinking has a budget of tokens; from 4.6 on it adapts to an effort.
_WITH_BUDGET = re.compile(r"claude-(?:3-|(?:opus|sonnet|haiku)-4-(?:[0-5](?![0-9])|20))")
_WITHOUT_THINKING = re.compile(r"claude-3-(?!7-)")


def default_max_tokens(model: str) -> int:
    """The maximum for a request that names none, though this API wants one."""
    for start, largest in _LARGEST:
        if model.startswith(start):
            return largest
    return _UNKNOWN_LARGEST


def takes_budget(model: str) -> bool:
    """Whether thinking is asked for with `budget_tokens`."""
    return _WITH_BUDGET.match(model) is not None


def thinks(model: str) -> bool:
    """Whether it can think before it answers at all."""
    return _WITHOUT_THINKING.match(model) is None
