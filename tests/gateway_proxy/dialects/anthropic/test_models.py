"""What is known of models by their names."""

import pytest

from gateway_proxy.dialects.anthropic import models


@pytest.mark.parametrize(
    ("model", "largest", "with_budget", "thinks"),
    [
        ("claude-3-haiku-20240307", 4096, True, False),
        ("claude-3-5-sonnet-20241022", 8192, True, False),
        ("claude-3-7-sonnet-latest", 64_000, True, True),
        ("claude-opus-4-20250514", 32_000, True, True),
        ("claude-opus-4-1-20250805", 32_000, True, True),
        ("claude-sonnet-4-5", 64_000, True, True),
        ("claude-haiku-4-5-20251001", 64_000, True, True),
        ("claude-opus-4-6", 64_000, False, True),
        ("claude-sonnet-5", 64_000, False, True),
        ("somebody-elses", 8192, False, True),
    ],
)
def test_by_name(model: str, largest: int, with_budget: bool, thinks: bool) -> None:
    assert models.default_max_tokens(model) == largest
    assert (models.takes_budget(model), models.thinks(model)) == (with_budget, thinks)
