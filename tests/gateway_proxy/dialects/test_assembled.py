"""Streams as people read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.dialects.assembled import assemble

CORPUS = Path(__file__).parents[2] / "support" / "corpus"


def stream(*events: object) -> bytes:
    return b"".join(b"data: %b\n\n" % (e if isinstance(e, bytes) else json.dumps(e).encode()) for e in events)


def chunk(**delta: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


def test_a_chat() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    document = assemble(
        stream(
            chunk(role="assistant", content=""),
            b"[DONE",
            chunk(role="assistant", content="Hel"),
            chunk(content="lo"),
            chunk(content=None, tool_calls=[call]),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}]),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
            {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": None},
            {"id": "c", "choices": [], "usage": {"total_tokens": 3}},
            b"[DONE]",
        )
    )
    call = call | {"function": {"name": "f", "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": "Hello", "tool_calls": [call]}
    assert document is not None and document["choices"] == [
        {"index": 0, "message": message, "finish_reason": "tool_calls"}
    ]
    assert document["usage"] == {"total_tokens": 3}


def test_several_completions_go_on_by_their_index() -> None:
    texts = [(0, "a"), (1, "x"), (0, "b"), (1, "y")]
    document = assemble(stream(*({"choices": [{"index": index, "text": text}]} for index, text in texts)))
    assert document == {"choices": [{"index": 0, "text": "ab"}, {"index": 1, "text": "xy"}]}


def test_a_message_with_thoughts_and_a_call() -> None:
    document = assemble((CORPUS / "streams" / "anthropic_thinking_tool.sse").read_bytes())
    assert document is not None and document["stop_reason"] == "tool_use"
    kinds = [block["type"] for block in document["content"]]
    assert kinds[0] == "thinking" and kinds[-1] == "tool_use"
    assert document["content"][0]["thinking"] and document["content"][0]["signature"]
    assert isinstance(document["content"][-1]["input"], dict) and document["content"][-1]["input"]


def test_contents() -> None:
    document = assemble((CORPUS / "streams" / "gemini_thoughts.sse").read_bytes())
    assert document is not None
    [candidate] = document["candidates"]
    assert [bool(part.get("thought")) for part in candidate["content"]["parts"]][:2] == [True, False]
    assert candidate["finishReason"] == "STOP" and document["usageMetadata"]


def test_a_response_is_its_last_event_and_what_there_was_if_it_broke() -> None:
    begun = {"type": "response.created", "response": {"id": "r", "status": "in_progress"}}
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}
    done = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": ["all"]}}
    assert assemble(stream(begun, delta, done)) == done["response"]
    assert assemble(stream(begun, delta)) == begun["response"] | {"output": [], "unfinished": ["Hi"]}


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*.sse")), ids=lambda path: path.stem)
def test_every_stream_of_the_corpus_and_every_beginning_of_it(path: Path) -> None:
    whole = path.read_bytes()
    assert assemble(whole)
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        assemble(whole[:cut])


def test_an_error_event_stands_in_the_document() -> None:
    assert assemble(stream(chunk(content="a"), {"error": {"message": "broke"}}))["error"] == {
        "message": "broke"
    }  # type: ignore[index]


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"data: \xff\xfe\n\n",
        b": comment\n\n",
        stream({"a": 1}, [1], None),
        stream(
            {
                "choices": [
                    1,
                    {"delta": 3},
                    {"index": {}, "delta": {"content": []}},
                    {"index": [], "delta": {}},
                ]
            },
            {"choices": {}},
        ),
        stream(
            {"type": "message_start", "message": 1},
            {"type": "content_block_start", "index": [], "content_block": {}},
        ),
        stream(
            {"type": "message_start", "message": {"usage": 3}},
            {"type": "message_delta", "delta": 1, "usage": {"a": 1}},
        ),
        stream(
            {"type": "response.x", "response": 1}, {"type": "response.output_item.done", "output_index": {}}
        ),
        stream({"candidates": [1, {"index": {}}, {"content": 1}, {"content": {"parts": 1}}]}),
    ],
)
def test_no_stream_is_a_fault(hostile: bytes) -> None:
    assemble(hostile)
