"""usage: what is counted beside what, and that no provider can make it lie."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.anthropic.usage import parse_any_shape, parse_usage
from gateway_proxy.dialects.counts import UnbelievableUsage

CACHE = {"cache_creation_input_tokens": 100, "cache_read_input_tokens": 7}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, Usage(input=10, output=5)),
        ({"input_tokens": 0, "output_tokens": 0}, Usage()),
        ({"input_tokens": 10, "output_tokens": 5, **CACHE}, Usage(10, 7, 100, output=5)),
        (
            {**CACHE, "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}},
            Usage(0, 7, 60, 40),
        ),
        ({"cache_creation": {"ephemeral_1h_input_tokens": 40}}, Usage(cache_write_1h=40)),
        ({**CACHE, "cache_creation": {"ephemeral_5m_input_tokens": 160}}, Usage(cached_input=7, cache_write=160)),
        ({"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}, Usage(output=5, reasoning=4)),
        ({"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}}, Usage(reasoning=3)),
        ({"output_tokens": 1, "server_tool_use": {"web_search_requests": 2}}, Usage(output=1, searches=2)),
        ({"input_tokens": 1, "server_tool_use": None, "cache_creation": None}, Usage(input=1)),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "iterations": [
                    {"type": "message", "input_tokens": 10, "output_tokens": 5},
                    {"type": "compaction", "input_tokens": 1000, "output_tokens": 50},
                    {"type": "advisor_message", "input_tokens": 20, "output_tokens": 2, "model": "other"},
                ],
            },
            Usage(input=1030, output=57),
        ),
    ],
)  # fmt: skip
def test_classes(raw: dict[str, Any], expected: Usage) -> None:
    assert parse_usage(raw) == expected


@pytest.mark.parametrize("bad", [-1, 1.5, "12", True, 2**63], ids=repr)
@pytest.mark.parametrize(
    "where", ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
)
def test_what_is_no_count_is_not_believed(where: str, bad: object) -> None:
    with pytest.raises(UnbelievableUsage):
        parse_usage({"input_tokens": 1, "output_tokens": 1, where: bad})


@pytest.mark.parametrize("raw", [None, [], "x", {"cache_creation": 3}, {"server_tool_use": []}])
def test_what_is_no_usage_is_not_believed(raw: object) -> None:
    with pytest.raises(UnbelievableUsage):
        parse_usage(raw)


COUNT = st.integers(0, 10**6)


@given(COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
def test_nothing_is_lost_and_nothing_counted_twice(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    raw = {
        "input_tokens": a, "cache_read_input_tokens": b, "cache_creation_input_tokens": c + d, "output_tokens": e + f,
        "cache_creation": {"ephemeral_5m_input_tokens": c, "ephemeral_1h_input_tokens": d},
        "output_tokens_details": {"thinking_tokens": f},
    }  # fmt: skip
    usage = parse_usage(raw)
    assert usage.input_tokens() == a + b + c + d
    assert usage.output_tokens() == e + f


PUBLISHED = {
    "input_tokens": 30, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 7, "output_tokens": 20, "service_tier": "standard",
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens_details": {"thinking_tokens": 5},
}  # fmt: skip
EXPECTED = Usage(input=30, cached_input=7, output=15, reasoning=5)
NAMES = (*PUBLISHED, "iterations", "server_tool_use")


def outcome(parse: Any, raw: Any) -> Any:
    try:
        return parse(raw)
    except UnbelievableUsage:
        return UnbelievableUsage


ODD = st.sampled_from((0, 1, 7, 30, -1, 0.5, "1", None, True, 2**63, {}, []))


@given(st.dictionaries(st.sampled_from(NAMES), ODD))
@settings(max_examples=150)
def test_the_short_cut_finds_what_the_long_way_finds(odd: dict[str, Any]) -> None:
    assert outcome(parse_usage, {**PUBLISHED, **odd}) == outcome(parse_any_shape, {**PUBLISHED, **odd})


def test_the_short_cut_is_taken_for_the_published_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_proxy.dialects.anthropic.usage.parse_any_shape", None)
    assert parse_usage(PUBLISHED) == EXPECTED
