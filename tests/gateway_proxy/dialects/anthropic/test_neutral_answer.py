"""Messages and their events, to the neutral form and back."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.anthropic.neutral_answer import (
    MessageReader,
    MessageWriter,
    read_answer,
    write_answer,
    write_usage,
)
from gateway_proxy.dialects.anthropic.usage import parse_usage
from gateway_proxy.dialects.neutral.answer import (
    Answer,
    Begin,
    Broke,
    CallBegin,
    CallDelta,
    Event,
    Finish,
    Stop,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Unreadable,
)
from gateway_proxy.dialects.neutral.request import Call, Text, Thinking

ANSWER = Answer(
    "i",
    "m",
    [Thinking("hm", "s"), Thinking(redacted="r"), Text("a"), Call("c", "f", {"a": 1})],
    Stop("calls"),
)


def read(*values: dict[str, Any]) -> list[Event]:
    reader = MessageReader()
    return [event for value in values for event in reader.read(orjson.dumps(value))]


def start(number: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": number, "content_block": block}


def delta(number: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": number, "delta": delta}


def test_usage_counts_as_this_api_does() -> None:
    assert parse_usage(write_usage(Usage(10, 20, 5, 1, 2, 30, 7))) == Usage(12, 20, 6, 0, 0, 30, 7)
    assert write_usage(None)["output_tokens"] == 0


def test_a_whole_answer() -> None:
    told = write_answer(ANSWER, None)
    assert (told["type"], told["role"], told["stop_reason"], told["stop_sequence"]) == (
        "message",
        "assistant",
        "tool_use",
        None,
    )
    assert read_answer(told) == ANSWER
    assert read_answer({"content": [], "stop_reason": "stop_sequence", "stop_sequence": "END"}).stop == Stop(
        "sequence", "END"
    )


@pytest.mark.parametrize(
    "content", [None, [5], [{"type": "text"}], [{"type": "server_tool_use"}], [{"type": "tool_use", "id": 1}]]
)
def test_what_is_no_answer(content: Any) -> None:
    with pytest.raises(Unreadable):
        read_answer({"content": content})


def test_a_stream_read() -> None:
    events = read(
        {"type": "message_start", "message": {"id": "i", "model": "m", "usage": {}}},
        {"type": "ping"},
        start(0, type="thinking", thinking=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="s"),
        start(1, type="redacted_thinking", data="r"),
        start(2, type="text", text=""),
        delta(2, type="text_delta", text="a"),
        start(3, type="tool_use", id="c", name="f", input={}),
        delta(3, type="input_json_delta", partial_json=""),
        delta(3, type="input_json_delta", partial_json="{}"),
        {"type": "content_block_stop", "index": 3},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
    )
    assert events == [
        Begin("i", "m"), ThinkingDelta("hm"), ThinkingSigned("s"), ThinkingSigned("", "r"), TextDelta("a"),
        CallBegin(0, "c", "f"), CallDelta(0, "{}"), Finish(Stop("calls")),
    ]  # fmt: skip


def test_a_call_without_arguments_is_an_empty_object() -> None:
    tool = {"type": "tool_use", "id": "c", "name": "f"}
    stop = {"type": "content_block_stop", "index": 0}
    assert read(start(0, **tool, input={}), stop)[-1] == CallDelta(0, "{}")
    assert read(start(0, **tool, input={"a": 1}), stop)[1:] == [CallDelta(0, '{"a":1}')]


def test_a_stream_that_breaks() -> None:
    assert read({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}) == [
        Broke("m", "overloaded_error")
    ]
    for value in (
        {},
        start(0, type="server_tool_use"),
        delta(0, type="text_delta"),
        {"type": "message_start"},
    ):
        with pytest.raises(Unreadable):
            read(value)
    with pytest.raises(Unreadable):
        MessageReader().read(b"[1]")


def told(*events: Event) -> list[dict[str, Any]]:
    writer = MessageWriter()
    stream = b"".join(map(writer.write, events)) + writer.end(Usage(input=3, output=4))
    return [orjson.loads(piece.split(b"\ndata: ")[1]) for piece in stream.split(b"\n\n") if piece]


def test_a_stream_written_in_blocks() -> None:
    values = told(
        Begin("i", "m"), ThinkingDelta("h"), ThinkingDelta("m"), ThinkingSigned("s"), ThinkingSigned("", "r"), TextDelta("a"),
        CallBegin(0, "c", "f"), CallDelta(0, "{}"), CallBegin(1, "d", "g"), Finish(Stop("calls")),
    )  # fmt: skip
    blocks = [value["content_block"]["type"] for value in values if value["type"] == "content_block_start"]
    assert blocks == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    opened = [value["index"] for value in values if value["type"] == "content_block_start"]
    closed = [value["index"] for value in values if value["type"] == "content_block_stop"]
    assert opened == closed == [0, 1, 2, 3, 4]
    last, end = values[-2:]
    assert (last["delta"]["stop_reason"], last["usage"]["input_tokens"], last["usage"]["output_tokens"]) == (
        "tool_use",
        3,
        4,
    )
    assert end == {"type": "message_stop"}


def test_mixed_calls_cannot_be_told() -> None:
    with pytest.raises(Unreadable):
        told(Begin("i", "m"), CallBegin(0, "c", "f"), CallBegin(1, "d", "g"), CallDelta(0, "{}"))
