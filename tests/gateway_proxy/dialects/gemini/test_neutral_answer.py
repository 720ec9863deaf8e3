"""Generated content, whole and in pieces, to the neutral form."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from gateway_proxy.dialects.gemini.neutral_answer import ContentReader, read_answer
from gateway_proxy.dialects.neutral.answer import Answer, Broke, Event, Stop, Unreadable
from gateway_proxy.dialects.neutral.request import Call, Text, Thinking
from tests.support.chats import answers, collect

REASONS = {"stop": "STOP", "calls": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}


def respond(parts: list[Any], finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": "i", "modelVersion": "m"}


def as_part(part: Text | Call | Thinking) -> dict[str, Any]:
    if isinstance(part, Call):
        return {"functionCall": {"id": part.id, "name": part.name, "args": part.arguments}}
    return {"text": part.text, "thought": True} if isinstance(part, Thinking) else {"text": part.text}


def read(*values: dict[str, Any]) -> list[Event]:
    reader = ContentReader()
    return [event for value in values for event in reader.read(orjson.dumps(value))]


@pytest.mark.slow
@given(answer=answers())
@settings(max_examples=20, deadline=None)
def test_answers_whole_and_in_pieces(answer: Answer) -> None:
    answer.id, answer.model = "i", "m"
    parts = [as_part(part) for part in answer.parts]
    whole = respond(parts, REASONS[answer.stop.reason])
    assert read_answer(whole) == answer
    pieces = [respond([part]) for part in parts]
    assert collect(read(*pieces, respond([], REASONS[answer.stop.reason]), {"usageMetadata": {}})) == answer


def test_calls_without_an_id_get_one() -> None:
    call = {"functionCall": {"name": "f", "args": None}, "thoughtSignature": "s"}
    expected = [Call("call_i_0", "f", {}, "s"), Call("call_i_1", "f", {}, "s")]
    assert read_answer(respond([call, call], "STOP")) == Answer("i", "m", list(expected), Stop("calls"))
    streamed = collect(read(respond([call]), respond([call], "STOP")))
    assert [part.id for part in streamed.parts if isinstance(part, Call)] == ["call_i_0", "call_i_1"]


def test_pieces_of_text_are_one_text() -> None:
    parts = [{"text": "a", "thought": True}, {"text": "b"}, {"text": "c"}, {"thoughtSignature": "s"}]
    assert read_answer(respond(parts, "OTHER")).parts == [Thinking("a"), Text("bc")]


def test_a_blocked_prompt_is_a_refusal() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "i", "modelVersion": "m"}
    assert read_answer(blocked) == Answer("i", "m", [], Stop("refused"))
    assert collect(read(blocked)) == Answer("i", "m", [], Stop("refused"))


@pytest.mark.parametrize(
    "value",
    [
        {}, {"candidates": 5}, {"candidates": [5]}, {"candidates": [{"content": 5}]}, respond([5]), respond([{"inlineData": {}}]),
        respond([{"functionCall": 5}]), respond([{"functionCall": {"id": "c"}}]),
        respond([{"functionCall": {"name": "f", "args": ["a"]}}]), respond([{"functionCall": {"name": "f", "args": ["ab"]}}]),
    ],
)  # fmt: skip
def test_what_is_no_answer(value: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_answer(value)


def test_a_stream_that_breaks() -> None:
    assert read({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}) == [
        Broke("m", "UNAVAILABLE")
    ]
    for data in (b"{", b"[]", b'{"candidates":5}'):
        with pytest.raises(Unreadable):
            list(ContentReader().read(data))
