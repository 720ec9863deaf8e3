"""usage: what stands within what, and that no provider can make it lie."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.counts import UnbelievableUsage
from gateway_proxy.dialects.gemini.usage import parse_any_shape, parse_usage


def audio(count: int) -> list[dict[str, Any]]:
    return [{"modality": "TEXT", "tokenCount": 1}, {"modality": "AUDIO", "tokenCount": count}]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, Usage(input=10, output=5)),
        ({"promptTokenCount": 10, "totalTokenCount": 10}, Usage(input=10)),
        ({"promptTokenCount": 0}, Usage()),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 22},
            Usage(input=10, output=5, reasoning=7),
        ),
        # Older models tell their thoughts in the total only.
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 22}, Usage(input=10, output=5, reasoning=7)),
        (
            {"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 1, "totalTokenCount": 101},
            Usage(input=40, cached_input=60, output=1),
        ),
        (
            {"promptTokenCount": 10, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 1, "totalTokenCount": 101},
            Usage(input=100, output=1),
        ),
        ({"promptTokenCount": 101, "promptTokensDetails": audio(100)}, Usage(input=1, audio_input=100)),
        (
            {
                "promptTokenCount": 101, "promptTokensDetails": audio(100), "cachedContentTokenCount": 31,
                "cacheTokensDetails": audio(30),
            },
            Usage(input=0, cached_input=1, audio_input=100),
        ),
        (
            {"promptTokenCount": 1, "candidatesTokenCount": 51, "candidatesTokensDetails": audio(50)},
            Usage(input=1, output=1, audio_output=50),
        ),
        # Details beyond their total are clamped.
        ({"promptTokenCount": 5, "promptTokensDetails": audio(100)}, Usage(audio_input=5)),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 9}, Usage(cached_input=5)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 9, "totalTokenCount": 3}, Usage(input=5, output=9)),
    ],
)  # fmt: skip
def test_classes(raw: dict[str, Any], expected: Usage) -> None:
    assert parse_usage(raw) == expected


def test_nothing_is_counted_where_nothing_is_told() -> None:
    assert parse_usage({}) is None and parse_usage({"trafficType": "ON_DEMAND"}) is None


@pytest.mark.parametrize(
    "raw",
    [
        3,
        [],
        {"promptTokenCount": -1},
        {"promptTokenCount": "3"},
        {"promptTokenCount": 1.5},
        {"promptTokenCount": 1, "totalTokenCount": 2**63},
        {"promptTokenCount": 1, "promptTokensDetails": {}},
        {"promptTokenCount": 1, "promptTokensDetails": audio(-4)},
    ],
)
def test_what_is_no_count_is_not_believed(raw: object) -> None:
    with pytest.raises(UnbelievableUsage):
        parse_usage(raw)


PUBLISHED = {
    "promptTokenCount": 30, "candidatesTokenCount": 20, "totalTokenCount": 57, "thoughtsTokenCount": 7, "cachedContentTokenCount": 1,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}],
}  # fmt: skip
EXPECTED = Usage(input=29, cached_input=1, output=20, reasoning=7)
NAMES = (
    *PUBLISHED,
    "toolUsePromptTokenCount",
    "responseTokenCount",
    "candidatesTokensDetails",
    "cacheTokensDetails",
)


def outcome(parse: Any, raw: Any) -> Any:
    try:
        return parse(raw)
    except UnbelievableUsage:
        return UnbelievableUsage


ODD = st.sampled_from((0, 1, 7, 30, -1, 0.5, "1", None, True, 2**63, {}, []))


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(NAMES), ODD))
@settings(max_examples=150)
def test_the_short_cut_finds_what_the_long_way_finds(odd: dict[str, Any]) -> None:
    assert outcome(parse_usage, {**PUBLISHED, **odd}) == outcome(parse_any_shape, {**PUBLISHED, **odd})


def test_the_short_cut_is_taken_for_the_published_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_proxy.dialects.gemini.usage.parse_any_shape", None)
    assert parse_usage(PUBLISHED) == EXPECTED
