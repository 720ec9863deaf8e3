"""tap: bytes out, usage seen, and that no way of cutting a stream changes either."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.findings import MAX_ANSWER_BYTES
from gateway_proxy.dialects.openai.tap import MAX_HELD_BYTES, AnswerTap, StreamTap

USAGE = {"prompt_tokens": 19, "completion_tokens": 2, "total_tokens": 21}
EXTRA = {"choices": [], "usage": USAGE, "model": "gpt-4o-2024-08-06", "service_tier": "default"}
DONE = b"data: [DONE]\n\n"


def event(value: object, name: str = "", end: bytes = b"\n") -> bytes:
    head = b"event: " + name.encode() + end if name else b""
    return head + b"data: " + orjson.dumps(value) + end + end


def delta(text: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "c-1", "model": "gpt-4o-2024-08-06", "choices": [choice], **more}


def make_tap(operation: str = "chat", strip: bool = False, path: str = "") -> StreamTap:
    return StreamTap(Route(operation, path, "m", stream=True, strip_usage=strip))


def run(tap: UsageTap, *chunks: bytes) -> bytes:
    return b"".join([tap.feed(chunk) for chunk in chunks]) + tap.close()


def findings(tap: UsageTap) -> tuple[object, ...]:
    return (
        tap.usage, tap.invalid_usage, tap.reported_model, tap.service_tier, tap.finished, tap.failed,
        tap.streamed_tokens,
    )  # fmt: skip


CHAT = event(delta("Hel", usage=None)) + event(delta("lo", usage=None)) + event(EXTRA) + DONE


def test_a_chat_stream_passes_unchanged_when_the_client_asked_for_usage() -> None:
    tap = make_tap()
    assert run(tap, CHAT) == CHAT
    assert findings(tap) == (
        Usage(input=19, output=2), False, "gpt-4o-2024-08-06", "default", True, False, 2,
    )  # fmt: skip


def test_the_extra_event_is_taken_out_and_nothing_else() -> None:
    tap = make_tap(strip=True)
    assert run(tap, CHAT) == CHAT.replace(event(EXTRA), b"")
    assert tap.usage == Usage(input=19, output=2)


def test_each_whole_event_leaves_with_its_chunk() -> None:
    tap = make_tap(strip=True)
    first = event(delta("Hel"))
    assert tap.feed(first) == first
    assert tap.at_event_boundary()
    assert tap.feed(first + b"data: {") == first
    assert tap.at_event_boundary()  # the client has not seen the unfinished event
    assert tap.close() == b"data: {"


def test_without_stripping_nothing_is_held_back() -> None:
    tap = make_tap()
    assert tap.at_event_boundary()
    assert tap.feed(b"data: {") == b"data: {"
    assert not tap.at_event_boundary()
    assert tap.feed(b'"choices":[]}\n\n') == b'"choices":[]}\n\n'
    assert tap.at_event_boundary()
    assert tap.close() == b""


def test_usage_beside_content_stays() -> None:
    """Some providers send it with the last content: taking it out would take the content."""
    last = event(delta("lo", usage=USAGE))
    tap = make_tap(strip=True)
    assert run(tap, last, DONE) == last + DONE
    assert tap.usage == Usage(input=19, output=2)


def test_events_without_choices_stay() -> None:
    """Content filters announce themselves that way."""
    first = event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "usage": None})
    assert run(make_tap(strip=True), first, CHAT) == first + CHAT.replace(event(EXTRA), b"")


def test_the_last_usage_counts_and_is_not_added_up() -> None:
    tap = make_tap()
    run(tap, *(event(delta("x", usage={**USAGE, "completion_tokens": n})) for n in (1, 2, 3)))
    assert tap.usage == Usage(input=19, output=3)


def test_usage_beside_content_is_a_running_sum_until_the_end() -> None:
    tap = make_tap()
    tap.feed(event(delta("a", usage=USAGE)))
    assert (tap.usage is not None, tap.usage_final) == (True, False)
    tap.feed(event(EXTRA))
    assert tap.usage_final


def test_spaces_in_the_json_do_not_matter() -> None:
    stream = b'data: {"choices": [], "usage": null}\n\ndata: {"choices" : [] , "usage" : {"prompt_tokens" : 3}}\n\n'
    tap = make_tap(strip=True)
    assert run(tap, stream) == b'data: {"choices": [], "usage": null}\n\n'
    assert tap.usage == Usage(input=3)


def test_words_of_the_model_are_not_taken_for_more() -> None:
    texts = (
        '"usage":{"prompt_tokens":1}',
        "[DONE]",
        '{"error":{"message":"x"}}',
        "event: error",
        'data: "error": 1',
    )
    stream = b"".join(event(delta(text)) for text in texts)
    tap = make_tap(strip=True)
    assert run(tap, stream) == stream
    assert findings(tap) == (None, False, "gpt-4o-2024-08-06", None, False, False, len(texts))


@pytest.mark.parametrize(
    "bad", [{"prompt_tokens": -1}, {"prompt_tokens": 1.5}, {"prompt_tokens": "9"}, "x", 7, [1]]
)
def test_usage_that_cannot_be_believed(bad: object) -> None:
    tap = make_tap(strip=True)
    assert run(tap, event({"choices": [], "usage": bad}), DONE) == DONE
    assert tap.invalid_usage
    assert tap.usage is None


def test_zero_is_the_providers_own_usage() -> None:
    tap = make_tap()
    run(tap, event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}))
    assert tap.usage == Usage()
    assert not tap.invalid_usage


@pytest.mark.parametrize(
    "broken",
    [
        event({"error": {"message": "overloaded", "code": 502}}),
        event({"message": "overloaded"}, "error"),
        event({"type": "error", "code": "x", "message": "y"}),
        event(delta("", error={"message": "z"})),
    ],
)
def test_an_error_event_fails_the_stream_and_reaches_the_client(broken: bytes) -> None:
    tap = make_tap(strip=True)
    stream = event(delta("a")) + broken
    assert run(tap, stream) == stream
    assert tap.failed
    assert not tap.finished


def test_a_stream_without_its_end_is_not_finished() -> None:
    tap = make_tap()
    run(tap, CHAT.removesuffix(DONE))
    assert not tap.finished


def test_an_end_without_its_blank_line_is_read() -> None:
    tap = make_tap(strip=True)
    assert run(tap, event(delta("a")), event(EXTRA).rstrip(b"\n")) == event(delta("a"))
    assert tap.usage == Usage(input=19, output=2)


RESPONSE_USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 6},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 7},
    "total_tokens": 123,
}


def response_stream(kind: str, usage: object = RESPONSE_USAGE, end: bytes = b"\n") -> bytes:
    start = {"id": "resp_1", "model": "gpt-5", "service_tier": "auto", "error": None, "usage": None}
    final = {**start, "service_tier": "flex", "usage": usage}
    return (
        event({"type": "response.created", "response": start}, "response.created", end)
        + event({"type": "response.output_text.delta", "delta": "Hi"}, "response.output_text.delta", end)
        + event({"type": f"response.{kind}", "response": final}, f"response.{kind}", end)
    )


@pytest.mark.parametrize(("kind", "failed"), [("completed", False), ("incomplete", False), ("failed", True)])
def test_a_response_ends_with_its_usage(kind: str, failed: bool) -> None:
    tap = make_tap("responses")
    stream = response_stream(kind)
    assert run(tap, stream) == stream
    assert findings(tap) == (
        Usage(input=30, cached_input=6, output=80, reasoning=7), False, "gpt-5", "flex", True, failed, 1,
    )  # fmt: skip


def test_a_response_may_fail_without_usage() -> None:
    tap = make_tap("responses")
    stream = response_stream("failed", None).replace(b'"error":null', b'"error":{"code":"x"}')
    run(tap, stream)
    assert (tap.failed, tap.finished, tap.usage) == (True, True, None)


def test_the_end_of_a_response_may_be_long() -> None:
    tap = make_tap("responses")
    final = {"type": "response.completed", "response": {"output": "x" * 500_000, "usage": RESPONSE_USAGE}}
    stream = event(final, "response.completed")
    assert run(tap, *(stream[at : at + 16_384] for at in range(0, len(stream), 16_384))) == stream
    assert tap.usage is not None


@pytest.mark.parametrize(
    ("operation", "final", "usage"),
    [
        ("audio", {"type": "transcript.text.done", "usage": {"input_tokens": 4, "output_tokens": 5}}, Usage(input=4, output=5)),
        ("audio", {"type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 5}}, Usage(input=4, output=5)),
        ("images", {"type": "image_generation.completed", "usage": {"input_tokens": 4, "output_tokens": 5}}, Usage(input=4, output=5, images=1)),
    ],
)  # fmt: skip
def test_other_streams_end_with_their_usage(operation: str, final: dict[str, Any], usage: Usage) -> None:
    tap = make_tap(operation)
    run(tap, event({"type": "start"}), event(final))
    assert tap.finished
    assert tap.usage == usage


def test_usage_in_groqs_own_member() -> None:
    tap = make_tap()
    run(tap, event(delta("", x_groq={"usage": USAGE})))
    assert tap.usage == Usage(input=19, output=2)


def test_an_endless_event_is_not_held_for_ever() -> None:
    tap = make_tap(strip=True)
    chunk = b"data: " + b"x" * 16_384
    held = max(len(chunk) * at - len(out) for at, out in enumerate(fed(tap, [chunk] * 40), 1))
    assert held <= MAX_HELD_BYTES + len(chunk)
    assert not tap.at_event_boundary()
    assert tap.feed(b"\n\n" + CHAT) == b"\n\n" + CHAT.replace(event(EXTRA), b"")
    assert tap.at_event_boundary()
    assert tap.usage == Usage(input=19, output=2)


def fed(tap: StreamTap, chunks: list[bytes]) -> list[bytes]:
    out, all_out = [], b""
    for chunk in chunks:
        all_out += tap.feed(chunk)
        out.append(all_out)
    return out


def mixed_stream(end: bytes) -> bytes:
    return (
        b"\xef\xbb\xbf: hello" + end + end
        + event(delta("äöü 😀", usage=None), end=end)
        + end
        + b": keep-alive" + end + end
        + b"id: 7" + end + event(delta('"usage":{', usage=None), end=end)
        + event(EXTRA, end=end)
        + end + end
        + event({"choices": [], "usage": {**USAGE, "completion_tokens": 1}}, end=end)
        + b"data: [DONE]" + end + end
        + b"data: tail"
    )  # fmt: skip


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.booleans(),
    st.sampled_from(["chat", "completions", "responses"]),
    st.lists(st.integers(0, 700), max_size=25),
)
def test_how_a_stream_is_cut_changes_nothing(
    end: bytes, strip: bool, operation: str, cuts: list[int]
) -> None:
    stream = response_stream("completed", end=end) if operation == "responses" else mixed_stream(end)
    whole = make_tap(operation, strip)
    out = run(whole, stream)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    cut = make_tap(operation, strip)
    assert run(cut, *(stream[a:b] for a, b in pairwise(places))) == out
    assert findings(cut) == findings(whole)
    assert whole.usage is not None
    if not strip:
        assert out == stream
    elif operation != "responses":
        assert b"prompt_tokens" not in out


def test_a_line_feed_belongs_to_a_removed_event_only_if_it_ends_it() -> None:
    removed = event(EXTRA, end=b"\r")
    assert run(make_tap(strip=True), removed, b"", b"\ndata: 1\n\n") == b"data: 1\n\n"
    assert run(make_tap(strip=True), removed + b"data: 1\n", b"\ndata: 2\n\n") == b"data: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_byte_by_byte(end: bytes) -> None:
    stream = mixed_stream(end)
    whole, cut = make_tap(strip=True), make_tap(strip=True)
    assert run(cut, *(stream[at : at + 1] for at in range(len(stream)))) == run(whole, stream)
    assert findings(cut) == findings(whole)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"data: ", b'{"usage":', b"{}}", b"\n\n", b"[DONE]"]))
)
def test_any_bytes_pass(chunks: list[bytes]) -> None:
    tap = make_tap()
    assert run(tap, *chunks) == b"".join(chunks)


def answer(value: object, operation: str = "chat", path: str = "") -> AnswerTap:
    tap = AnswerTap(Route(operation, path, "m"))
    body = value if type(value) is bytes else orjson.dumps(value)
    assert run(tap, body[:7], body[7:]) == body
    assert not tap.at_event_boundary()
    assert tap.finished
    return tap


def test_an_answer_in_one_piece() -> None:
    tap = answer({"model": "gpt-4o-x", "service_tier": "flex", "usage": USAGE})
    assert findings(tap) == (Usage(input=19, output=2), False, "gpt-4o-x", "flex", True, False, 0)


@pytest.mark.parametrize(
    ("operation", "body", "usage"),
    [
        ("images", {"data": [{}, {}], "usage": {"input_tokens": 5, "output_tokens": 9}}, Usage(input=5, output=9, images=2)),
        ("images", {"data": [{}, {}]}, None),
        ("rerank", {"meta": {"billed_units": {"search_units": 2}}}, Usage(searches=2)),
        ("rerank", {"usage": {"total_tokens": 9}}, Usage(input=9)),
        ("audio", {"text": "x", "duration": 8.47}, Usage(millis=8470)),
        ("audio", {"text": "x", "usage": {"type": "duration", "seconds": 9}}, Usage(millis=9000)),
        ("moderations", {"results": []}, None),
        ("chat", {"usage": None}, None),
        ("chat", [1], None),
        ("audio", b"WEBVTT\n\n00:00", None),
        ("chat", b'{"usage":{"prompt_tokens":9}', None),
    ],
)  # fmt: skip
def test_answers_of_other_operations(operation: str, body: object, usage: Usage | None) -> None:
    tap = answer(body, operation)
    assert tap.usage == usage
    assert not tap.invalid_usage


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("chat", {"usage": {"prompt_tokens": -1}}),
        ("chat", {"usage": 7}),
        ("audio", {"duration": "long"}),
    ],
)
def test_answers_that_cannot_be_believed(operation: str, body: object) -> None:
    tap = answer(body, operation)
    assert tap.invalid_usage
    assert tap.usage is None


def test_an_answer_too_long_to_keep_passes_unread() -> None:
    tap = AnswerTap(Route("chat", "/chat/completions", "m"))
    chunk = b" " * (MAX_ANSWER_BYTES // 4)
    for _ in range(5):
        assert tap.feed(chunk) == chunk
    assert tap.feed(b'{"usage":{"prompt_tokens":1}}')
    assert tap.close() == b""
    assert tap.usage is None
