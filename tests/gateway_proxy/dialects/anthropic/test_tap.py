"""tap: nothing is changed, the totals are seen, and that no way of cutting a stream changes either."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.anthropic.tap import AnswerTap, StreamTap


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **members}) + b"\n\n"


START = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": [],
    "stop_reason": None,
    "usage": {
        "input_tokens": 3, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}, "service_tier": "standard",
    },
}  # fmt: skip


def delta(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


OPENING = event("message_start", message=START) + event(
    "content_block_start", index=0, content_block={"type": "text", "text": ""}
)
TEXT = event("ping") + delta("Hel") + delta('message_delta "error" {"type":"error"}')
TOTALS = event(
    "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 15}
)
STOP = event("message_stop")
STREAM = OPENING + TEXT + event("content_block_stop", index=0) + TOTALS + STOP
EXPECTED = Usage(input=3, cached_input=20, cache_write=60, cache_write_1h=40, output=15)


def make_tap() -> StreamTap:
    return StreamTap(Route("messages", "/v1/messages", "m", stream=True))


def run(tap: UsageTap, *chunks: bytes) -> bytes:
    return b"".join([tap.feed(chunk) for chunk in chunks]) + tap.close()


def findings(tap: UsageTap) -> tuple[object, ...]:
    return (
        tap.usage,
        tap.usage_final,
        tap.invalid_usage,
        tap.reported_model,
        tap.service_tier,
        tap.finished,
        tap.failed,
    )


SEEN = (EXPECTED, True, False, "claude-sonnet-4-5-20250929", "standard", True, False)


def test_a_stream_passes_unchanged_and_is_counted() -> None:
    tap = make_tap()
    assert run(tap, STREAM) == STREAM
    assert findings(tap) == SEEN
    assert tap.needs_end and tap.streamed_tokens >= 2


@settings(max_examples=60)
@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
def test_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(STREAM)]
    tap = make_tap()
    for start, end in itertools.pairwise(edges):
        chunk = STREAM[start:end]
        assert tap.feed(chunk) == chunk
        assert tap.at_event_boundary() == STREAM[:end].endswith(b"\n\n")
    assert tap.close() == b""
    assert findings(tap) == SEEN


def test_a_broken_stream_is_not_final() -> None:
    tap = make_tap()
    run(tap, OPENING + TEXT)
    assert tap.usage == Usage(3, 20, 60, 40, output=1)
    assert not tap.usage_final and not tap.finished and not tap.failed


def test_an_error_event_fails_the_stream() -> None:
    tap = make_tap()
    broken = OPENING + event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    assert run(tap, broken) == broken
    assert tap.failed and not tap.finished and not tap.usage_final


def test_totals_may_name_everything_again() -> None:
    tap = make_tap()
    totals = {
        "input_tokens": 9,
        "output_tokens": 4,
        "cache_read_input_tokens": None,
        "server_tool_use": {"web_search_requests": 2},
    }
    run(tap, OPENING + event("message_delta", delta={}, usage=totals) + STOP)
    assert tap.usage == Usage(9, 20, 60, 40, output=4, searches=2)


@pytest.mark.parametrize("bad", [-5, "7", 1.5, 2**63])
def test_totals_that_cannot_be_believed(bad: object) -> None:
    tap = make_tap()
    run(tap, OPENING + event("message_delta", delta={}, usage={"output_tokens": bad}) + STOP)
    assert tap.usage is None and tap.invalid_usage and tap.finished


@pytest.mark.parametrize(
    "rubbish", [b"data: {\n\n", b"event: message_delta\ndata: 3\n\n", b"event: message_x\n\n", b":\n\n"]
)
def test_rubbish_passes(rubbish: bytes) -> None:
    tap = make_tap()
    assert run(tap, rubbish + STREAM) == rubbish + STREAM
    assert findings(tap) == SEEN


def test_a_whole_message() -> None:
    body = orjson.dumps({**START, "usage": {**START["usage"], "output_tokens": 15, "speed": "fast"}})  # type: ignore[dict-item]
    tap = AnswerTap(Route("messages", "/v1/messages", "m"))
    assert run(tap, body[:50], body[50:]) == body
    assert findings(tap) == (EXPECTED, False, False, "claude-sonnet-4-5-20250929", "fast", True, False)


def test_a_token_count_is_free_whatever_comes() -> None:
    for body in (b'{"input_tokens":14}', b"", b'{"usage":{"input_tokens":3}}'):
        tap = AnswerTap(Route("messages", "/v1/messages/count_tokens", "m", free=True))
        assert run(tap, body) == body
        assert tap.usage == Usage() and tap.usage_final
