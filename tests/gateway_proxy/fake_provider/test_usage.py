"""Usage objects, true and bent."""

from typing import Any

import pytest

from gateway_proxy.fake_provider.usage import Count, chat_usage, forge_usage, responses_usage

COUNT = Count(prompt=10, completion=5, cached=4, reasoning=2)


def test_the_truth_adds_up() -> None:
    usage = chat_usage(COUNT)
    assert usage["total_tokens"] == 15
    assert usage["prompt_tokens_details"]["cached_tokens"] == 4
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 2
    assert responses_usage(COUNT)["total_tokens"] == 15


@pytest.mark.parametrize(
    ("mode", "value"),
    [
        ("honest", 5),
        ("usage_zero", 0),
        ("usage_negative", -5),
        ("usage_float", 5.5),
        ("usage_string", "5"),
        ("usage_huge", 2**63),
    ],
)
def test_each_mode_bends_every_number(mode: str, value: Any) -> None:
    forged = forge_usage(chat_usage(COUNT), mode)
    assert forged is not None
    assert forged["completion_tokens"] == value
    assert type(forged["prompt_tokens_details"]["cached_tokens"]) is type(value)


def test_no_usage_is_nothing() -> None:
    assert forge_usage(chat_usage(COUNT), "no_usage") is None
