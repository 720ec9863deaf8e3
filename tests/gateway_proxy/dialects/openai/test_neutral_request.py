"""What chat completions say that needs a decision on the way to the neutral form and back."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.neutral.request import (
    Call,
    Format,
    Inexpressible,
    Media,
    Request,
    Result,
    Text,
    Thinking,
    Tool,
    Turn,
)
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.dialects.openai.neutral_request import read_request, write_request

HELLO = {"role": "user", "content": "hello"}


def read(**members: Any) -> Request:
    body = orjson.dumps({"model": "m", "messages": [HELLO], **members})
    return read_request(OpenAIDialect().identify("chat", "/v1/chat/completions", body, "application/json"))


def written(*turns: Turn, **members: Any) -> dict[str, Any]:
    body: dict[str, Any] = write_request(Request(turns=list(turns), **members), "m").body
    return body


def test_every_member() -> None:
    request = read(
        max_tokens=7, temperature=0.5, top_p=0.9, stop="END", seed=3, presence_penalty=1, frequency_penalty=0, user="u",
        reasoning_effort="low", service_tier="default", parallel_tool_calls=False, stream=True,
        n=1, logprobs=False, store=False, modalities=["text"], prompt_cache_key="k",
        tools=[{"type": "function", "function": {"name": "f"}}], tool_choice={"type": "function", "function": {"name": "f"}},
    )  # fmt: skip
    assert request == Request(
        turns=[Turn("user", [Text("hello")])],
        tools=[Tool("f", "", {"type": "object", "properties": {}})],
        choice="tool", chosen="f", parallel=False, max_tokens=7, temperature=0.5, top_p=0.9, stop=["END"], seed=3,
        presence_penalty=1, user="u", effort="low", tier="standard", stream=True, wants_usage=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a"}}, "modalities"),
        ({"audio": {"voice": "a"}}, "audio"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"metadata": {"a": "b"}, "store": True}, "metadata"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools.0"),
        ({"tools": [{"type": "function", "function": {"name": "f", "magic": 1}}]}, "tools.0.function.magic"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"messages": [{**HELLO, "name": "ada"}]}, "messages.0.name"),
        ({"messages": [HELLO, {"role": "function", "name": "f", "content": "x"}]}, "messages.1.role"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages.0.audio"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages.0.content.0.file",
        ),
    ],
)
def test_what_has_no_place_is_named(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Inexpressible) as refused:
        read(**members)
    assert refused.value.member == named


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"reasoning_effort": "a lot"}, "reasoning_effort"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]}]}, "messages.0"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}]},
            "messages.0.tool_calls.0.function.arguments",
        ),
    ],
)  # fmt: skip
def test_wrong_types(members: dict[str, Any], named: str) -> None:
    with pytest.raises(BadExchange) as refused:
        read(**members)
    assert (refused.value.code, refused.value.param) == ("invalid_type", named)


def test_system_messages_come_first_wherever_they_stand() -> None:
    request = read(
        messages=[{"role": "developer", "content": "a"}, HELLO, {"role": "system", "content": "b"}]
    )
    assert request.system == [Text("a"), Text("b")] and len(request.turns) == 1


def test_results_of_parallel_calls_are_one_turn() -> None:
    results = [{"role": "tool", "tool_call_id": i, "content": i, "name": "f"} for i in "ab"]
    request = read(messages=[HELLO, {"role": "assistant", "content": ""}, *results, HELLO])
    assert request.turns[2:] == [
        Turn("user", [Result("a", [Text("a")]), Result("b", [Text("b")])]),
        Turn("user", [Text("hello")]),
    ]


def test_parts_and_thoughts() -> None:
    parts = [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
    ]
    said = {
        "role": "assistant", "content": "x", "reasoning_content": "hm",
        "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}],
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""},
                        "extra_content": {"google": {"thought_signature": "g"}}}],
    }  # fmt: skip
    user, assistant = read(messages=[{"role": "user", "content": parts}, said]).turns
    assert user.parts == [
        Text("a", {"type": "ephemeral"}),
        Media("image/*", url="https://a/b.png"),
        Media("audio/mpeg", "aGk="),
        Media("application/pdf", "aGk=", name="a.pdf"),
    ]
    assert assistant.parts == [Thinking("hm", "s"), Text("x"), Call("c", "f", {}, "g")]


def test_written() -> None:
    body = written(
        Turn("user", [Result("c", [Text("no")], is_error=True), Text("go on"), Media("audio/wav", "aGk=")]),
        Turn("assistant", [Thinking("hm", "s"), Call("d", "f", {"a": 1})]),
        thinking_tokens=5000,
        format=Format(None),
        user="u",
    )
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "c", "content": "Error: no"},
        {"role": "user", "content": [{"type": "text", "text": "go on"},
                                     {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}]},
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "d", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]},
    ]  # fmt: skip
    assert (body["reasoning_effort"], body["response_format"]) == ("medium", {"type": "json_object"})


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (Request(top_k=4), "top_k"),
        (Request(stop=list("abcde")), "stop"),
        (Request(turns=[Turn("user", [Result("c", [Media("image/png", "aGk=")])])]), "turns"),
        (Request(turns=[Turn("user", [Media("application/pdf", url="https://a/b.pdf")])]), "turns"),
        (Request(turns=[Turn("user", [Media("audio/flac", "aGk=")])]), "turns"),
    ],
)
def test_what_it_cannot_say(request_: Request, named: str) -> None:
    with pytest.raises(Inexpressible) as refused:
        write_request(request_, "m")
    assert refused.value.member == named


def test_long_labels_stay_apart() -> None:
    assert written(user="u" * 64)["user"] == "u" * 64
    assert len({written(user="u" * 65)["user"], written(user="u" * 66)["user"]}) == 2
    assert len(written(user="u" * 65)["user"]) == 64
