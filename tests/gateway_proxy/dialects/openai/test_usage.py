"""usage: the golden table, and that no provider can make it lie."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.counts import LARGEST_COUNT, UnbelievableUsage
from gateway_proxy.dialects.openai.usage import duration_millis, parse_any_shape, parse_usage

CORPUS = Path(__file__).parents[3] / "support" / "corpus" / "openai_usage.jsonl"
CASES = [orjson.loads(line) for line in CORPUS.read_bytes().splitlines()]


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_usage(case: dict[str, Any]) -> None:
    assert parse_usage(case["usage"]) == Usage(**case["expect"])


@pytest.mark.parametrize(
    "bad", [-1, 1.5, "12", True, [], {}, 2**63, LARGEST_COUNT + 1, 1.8446744073709552e19], ids=repr
)
@pytest.mark.parametrize(
    "where",
    [
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached",
        "reasoning",
    ],
)
def test_what_is_no_count_is_not_believed(where: str, bad: object) -> None:
    raw: dict[str, Any] = {"prompt_tokens": 1, "completion_tokens": 1}
    if where == "cached":
        raw["prompt_tokens_details"] = {"cached_tokens": bad}
    elif where == "reasoning":
        raw["completion_tokens_details"] = {"reasoning_tokens": bad}
    elif where in ("input_tokens", "output_tokens"):
        raw = {where: bad}
    else:
        raw[where] = bad
    with pytest.raises(UnbelievableUsage):
        parse_usage(raw)


@pytest.mark.parametrize("raw", [None, 1, "x", [], [1]])
def test_usage_must_be_an_object(raw: object) -> None:
    with pytest.raises(UnbelievableUsage):
        parse_usage(raw)


def test_details_must_be_objects() -> None:
    with pytest.raises(UnbelievableUsage):
        parse_usage({"prompt_tokens": 1, "prompt_tokens_details": 7})


def test_an_object_that_counts_nothing_is_no_usage() -> None:
    assert parse_usage({}) is None
    assert parse_usage({"prompt_tokens": None, "completion_tokens": None}) is None


@pytest.mark.parametrize("seconds", [-1, "3", None, True, 1e300])
def test_what_is_no_duration_is_not_believed(seconds: object) -> None:
    with pytest.raises(UnbelievableUsage):
        duration_millis(seconds)


COUNT = st.integers(0, 10_000)


@settings(max_examples=200, deadline=None)
@given(COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
def test_classes_add_up_to_the_providers_totals(
    prompt: int, completion: int, cached: int, written: int, heard: int, reasoning: int, spoken: int
) -> None:
    usage = parse_usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_write_tokens": written,
                "audio_tokens": heard,
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
        }
    )
    assert usage is not None
    assert (usage.input_tokens(), usage.output_tokens()) == (prompt, completion)
    assert min(usage.input, usage.cached_input, usage.cache_write, usage.audio_input) >= 0
    assert min(usage.output, usage.reasoning, usage.audio_output) >= 0


# Values that are counts, nearly counts, and none at all.
ANY_VALUE = (
    st.integers(0, 6)
    | st.sampled_from([None, -1, 2.0, 1.5, True, "3", LARGEST_COUNT, LARGEST_COUNT + 1])
    | st.just({"audio_tokens": 1})
)
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(
        [
            "cached_tokens",
            "audio_tokens",
            "reasoning_tokens",
            "cache_write_tokens",
            "cache_creation_tokens",
            "text_tokens",
        ]
    ),
    st.integers(0, 4) | ANY_VALUE,
    max_size=4,
)
OTHERS = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "input_tokens",
            "output_tokens",
            "search_units",
            "num_search_queries",
            "prompt_cache_hit_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "queue_time",
        ]
    ),
    ANY_VALUE,
    max_size=1,
)
OTHER_DETAILS = st.dictionaries(
    st.sampled_from(
        [
            "prompt_tokens_details",
            "completion_tokens_details",
            "input_tokens_details",
            "input_token_details",
            "output_tokens_details",
            "output_token_details",
        ]
    ),
    DETAILS | ANY_VALUE,
    max_size=3,
)


def outcome(parse: Callable[[dict[str, Any]], Usage | None], raw: dict[str, Any]) -> object:
    try:
        return parse(raw)
    except UnbelievableUsage:
        return "unbelievable"


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 9), st.integers(0, 9), st.sampled_from([0, 0, 0, 1, -1]), ANY_VALUE, OTHERS, OTHER_DETAILS
)
def test_the_short_cut_changes_nothing(
    prompt: int,
    completion: int,
    beside: int,
    instead: object,
    others: dict[str, Any],
    details: dict[str, Any],
) -> None:
    plain = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion + beside,
        **details,
    }
    for raw in (plain, {**plain, **others}, *({**plain, name: instead} for name in plain)):
        assert outcome(parse_usage, raw) == outcome(parse_any_shape, raw)


def test_the_short_cut_is_taken_for_the_published_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(raw: dict[str, Any]) -> Usage:
        raise AssertionError("not the short cut")

    monkeypatch.setattr("gateway_proxy.dialects.openai.usage.parse_any_shape", fail)
    assert parse_usage(
        {
            "prompt_tokens": 8,
            "completion_tokens": 16,
            "total_tokens": 24,
            "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 1},
            "completion_tokens_details": {
                "reasoning_tokens": 5,
                "audio_tokens": 2,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
    ) == Usage(input=4, cached_input=3, audio_input=1, output=9, reasoning=5, audio_output=2)
