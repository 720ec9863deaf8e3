"""tap: nothing is changed, the last totals count, and that no way of cutting a stream changes either."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.gemini.tap import AnswerTap, ArrayTap, StreamTap

PATH = "/v1beta/models/:streamGenerateContent"


def piece(text: str, made: int, *, thoughts: int = 0, reason: str = "", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 9, "candidatesTokenCount": made, "totalTokenCount": 9 + made + thoughts}
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", **more}


PIECES = [
    piece("Hel", 2, thoughts=30),
    piece('lo "finishReason" ]}', 5, thoughts=30),
    piece("", 7, thoughts=30, reason="STOP"),
]
EVENTS = b"".join(b"data: " + orjson.dumps(p) + b"\r\n\r\n" for p in PIECES)
ARRAY = b"[" + b"\n,\r\n".join(orjson.dumps(p, option=orjson.OPT_INDENT_2) for p in PIECES) + b"\n]\n"
EXPECTED = Usage(input=9, output=7, reasoning=30)


def make_tap(data: bytes) -> UsageTap:
    route = Route("gemini", PATH, "m", stream=True)
    return StreamTap(route) if data is EVENTS else ArrayTap(route)


def run(tap: UsageTap, *chunks: bytes) -> bytes:
    return b"".join([tap.feed(chunk) for chunk in chunks]) + tap.close()


@settings(max_examples=60)
@given(st.sampled_from([EVENTS, ARRAY]), st.lists(st.integers(0, 10**6), max_size=12))
def test_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    tap = make_tap(data)
    assert run(tap, *[data[start:end] for start, end in pairwise(edges)]) == data
    assert (tap.usage, tap.usage_final, tap.finished, tap.failed) == (EXPECTED, True, True, False)
    assert (tap.reported_model, tap.invalid_usage, tap.streamed_tokens) == ("gemini-2.5-flash", False, 37)


@pytest.mark.parametrize("data", [EVENTS, ARRAY])
def test_a_broken_stream_has_running_totals_only(data: bytes) -> None:
    tap = make_tap(data)
    cut = data.index(b"STOP")
    run(tap, data[:cut])
    assert tap.usage == Usage(input=9, output=5, reasoning=30) and tap.streamed_tokens == 35
    assert not tap.usage_final and not tap.finished


def test_comments_only_between_events_and_never_in_an_array() -> None:
    events, array = make_tap(EVENTS), make_tap(ARRAY)
    events.feed(EVENTS[:40])
    assert not events.at_event_boundary()
    events.feed(EVENTS[40:])
    array.feed(ARRAY)
    assert events.at_event_boundary() and not array.at_event_boundary()


def test_errors_in_a_stream() -> None:
    error = {"error": {"code": 500, "message": "x", "status": "INTERNAL"}}
    tap = make_tap(EVENTS)
    run(tap, b"data: " + orjson.dumps(error) + b"\r\n\r\n")
    array = make_tap(ARRAY)
    run(array, orjson.dumps([PIECES[0], error]))
    assert tap.failed and array.failed and not tap.finished


def test_a_blocked_prompt_ends_the_stream() -> None:
    tap = make_tap(EVENTS)
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
    }
    run(tap, b"data: " + orjson.dumps(blocked) + b"\r\n\r\n")
    assert (tap.usage, tap.finished, tap.usage_final) == (Usage(input=4), True, True)


@pytest.mark.parametrize("bad", [-5, "7", 1.5, 2**63])
def test_totals_that_cannot_be_believed(bad: object) -> None:
    tap = make_tap(EVENTS)
    last = piece("", 0, reason="STOP")
    last["usageMetadata"]["candidatesTokenCount"] = bad
    run(tap, b"data: " + orjson.dumps(PIECES[0]) + b"\n\ndata: " + orjson.dumps(last) + b"\n\n")
    assert tap.usage is None and tap.invalid_usage


@pytest.mark.parametrize(("model", "searches"), [("gemini-2.5-flash", 1), ("gemini-3-pro-preview", 2)])
def test_a_whole_answer_with_searches_and_a_tier(model: str, searches: int) -> None:
    body = {**piece("x", 3, reason="STOP"), "modelVersion": model}
    body["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["a", "b"]}
    body["usageMetadata"]["serviceTier"] = "SERVICE_TIER_FLEX"
    tap = AnswerTap(Route("gemini", "/v1beta/models/:generateContent", "m"))
    assert run(tap, orjson.dumps(body)) == orjson.dumps(body)
    assert (
        tap.usage == Usage(input=9, output=3, searches=searches)
        and tap.service_tier == "flex"
        and tap.finished
    )


def test_an_answer_without_usage_tells_none() -> None:
    tap = AnswerTap(Route("gemini", "/v1beta/models/:embedContent", "m"))
    run(tap, b'{"embedding":{"values":[0.5]},"usageMetadata":{}}')
    assert tap.usage is None and not tap.invalid_usage


@pytest.mark.parametrize(
    "rubbish", [b"data: {\n\n", b"data: 3\n\n", b": comment\n\n", b'data: {"candidates":3}\n\n']
)
def test_rubbish_passes(rubbish: bytes) -> None:
    tap = make_tap(EVENTS)
    assert run(tap, rubbish, EVENTS) == rubbish + EVENTS
    assert tap.usage == EXPECTED


def test_a_token_count_is_free_whatever_comes() -> None:
    tap = AnswerTap(Route("gemini", "/v1beta/models/:countTokens", "m", free=True))
    run(tap, b'{"totalTokens":3,"usageMetadata":{"promptTokenCount":3}}')
    assert tap.usage == Usage() and tap.usage_final
