"""Chat completions and their chunks, to the neutral form and back."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.neutral.answer import (
    Answer,
    Begin,
    Broke,
    CallBegin,
    CallDelta,
    Finish,
    Stop,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Unreadable,
)
from gateway_proxy.dialects.neutral.request import Call, Text, Thinking
from gateway_proxy.dialects.openai.neutral_answer import (
    ChatReader,
    ChatWriter,
    read_answer,
    write_answer,
    write_usage,
)
from gateway_proxy.dialects.openai.usage import parse_usage
from tests.support.chats import as_events, write_stream

ANSWER = Answer("i", "m", [Thinking("hm", "s"), Text("a"), Call("c", "f", {"a": 1}, "g")], Stop("calls"))


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return orjson.dumps({"id": "i", "model": "m", "choices": [{"delta": delta, "finish_reason": finish}]})


def test_usage_counts_as_this_api_does() -> None:
    usage = Usage(10, 20, 5, 1, 2, 30, 7, 3)
    told = write_usage(usage)
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (38, 40, 78)
    assert parse_usage(told) == Usage(10, 20, 6, 0, 2, 30, 7, 3)


def test_a_whole_answer() -> None:
    told = write_answer(ANSWER, Usage(input=1), 5000)
    message = told["choices"][0]["message"]
    assert (told["created"], told["choices"][0]["finish_reason"]) == (5, "tool_calls")
    assert message["reasoning_content"] == "hm" and message["thinking_blocks"][0]["signature"] == "s"
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "g"}}
    assert "usage" not in write_answer(ANSWER, None, 0)


def test_refusals_are_text() -> None:
    value = {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]}
    assert read_answer(value) == Answer("", "", [Text("no")], Stop("refused"))


@pytest.mark.parametrize(
    "value",
    [
        {}, {"choices": []}, {"choices": [{}]},
        {"choices": [{"message": {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "["}}]}}]},
    ],
)  # fmt: skip
def test_what_is_no_answer(value: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_answer(value)


def test_a_stream_read() -> None:
    reader = ChatReader()
    call = {"index": 1, "id": "c", "function": {"name": "f", "arguments": ""}}
    events = [
        event
        for data in (
            chunk({"role": "assistant", "content": ""}),
            chunk({"reasoning": "hm"}),
            chunk({"content": "a"}),
            chunk({"tool_calls": [call]}),
            chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}, "tool_calls"),
            chunk({}, "stop"),
            b'{"choices":[],"usage":{}}',
        )
        for event in reader.read(data)
    ]
    assert events == [
        Begin("i", "m"), ThinkingDelta("hm"), TextDelta("a"), CallBegin(1, "c", "f"), CallDelta(1, "{}"), Finish(Stop("calls")),
    ]  # fmt: skip


def test_a_stream_that_breaks() -> None:
    assert list(ChatReader().read(b'{"error":{"message":"m","type":"t"}}')) == [Broke("m", "t")]
    assert list(ChatReader().read(b'{"error":"m"}')) == [Broke("m", "")]
    for data in (b"{", b"[]", b'{"choices":[5]}', b'{"choices":[{"delta":{"tool_calls":[5]}}]}'):
        with pytest.raises(Unreadable):
            list(ChatReader().read(data))


def test_a_stream_written() -> None:
    stream = write_stream(ChatWriter(True, 5000), [*as_events(ANSWER), ThinkingSigned("s")])
    *chunks, done = [piece.removeprefix(b"data: ") for piece in stream.split(b"\n\n") if piece]
    values = [orjson.loads(piece) for piece in chunks]
    assert done == b"[DONE]" and all(value["created"] == 5 and value["id"] == "i" for value in values)
    assert values[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert values[-1]["choices"][0]["delta"]["thinking_blocks"][0]["signature"] == "s"


def test_usage_is_told_to_those_who_asked() -> None:
    for wanted in (True, False):
        writer = ChatWriter(wanted, 0)
        writer.write(Begin("i", "m"))
        assert (b'"choices":[],"usage":{"prompt_tokens":1' in writer.end(Usage(input=1))) == wanted
        assert writer.end(None) == b"data: [DONE]\n\n"


def test_a_chunk_without_a_name_begins_nothing() -> None:
    reader = ChatReader()
    assert list(reader.read(b'{"id":"","model":"","choices":[],"prompt_filter_results":[]}')) == []
    assert list(reader.read(chunk({"content": "a"}))) == [Begin("i", "m"), TextDelta("a")]
