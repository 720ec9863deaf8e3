"""What Messages requests say that needs a decision on the way to the neutral form and back."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.anthropic import AnthropicDialect
from gateway_proxy.dialects.anthropic.neutral_request import read_request, write_request
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

HELLO = {"role": "user", "content": "hello"}
EFFORTLESS = "claude-sonnet-4-5"


def read(**members: Any) -> Request:
    body = orjson.dumps({"model": "m", "max_tokens": 9, "messages": [HELLO], **members})
    return read_request(AnthropicDialect().identify("messages", "/v1/messages", body, "application/json"))


def written(model: str = "claude-x", **members: Any) -> dict[str, Any]:
    request = Request(**{"turns": [Turn("user", [Text("hello")])], "max_tokens": 4000, **members})
    body: dict[str, Any] = write_request(request, model).body
    return body


def test_every_member() -> None:
    request = read(
        system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}], temperature=0.5, top_p=0.9, top_k=4,
        stop_sequences=["END"], metadata={"user_id": "u"}, service_tier="standard_only", stream=True, cache_control={"type": "e"},
        tools=[{"name": "f", "input_schema": {}, "strict": True, "defer_loading": False}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2000},
        output_config={"effort": "max", "format": {"type": "json_schema", "schema": {"a": 1}}},
    )  # fmt: skip
    assert request == Request(
        system=[Text("s", {"type": "ephemeral"})], turns=[Turn("user", [Text("hello")])], tools=[Tool("f", "", {}, True)],
        choice="any", parallel=False, max_tokens=9, temperature=0.5, top_p=0.9, top_k=4, stop=["END"], format=Format({"a": 1}),
        effort="max", thinking_tokens=2000, user="u", tier="standard", stream=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"context_management": {}}, "context_management"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "tools.0"),
        ({"tools": [{"name": "f", "input_schema": {}, "input_examples": []}]}, "tools.0.input_examples"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]},
            "messages.0.content.0.source",
        ),
        ({"output_config": {"task_budget": 5}}, "output_config.task_budget"),
    ],
)
def test_what_has_no_place_is_named(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Inexpressible) as refused:
        read(**members)
    assert refused.value.member == named


def test_wrong_types() -> None:
    for members in (
        {"messages": [{"role": "robot", "content": "x"}]},
        {"tool_choice": {"type": "perhaps"}},
        {"output_config": {"effort": []}},
        {"system": [{"type": "image", "source": {"type": "url", "url": "https://a/b"}}]},
    ):
        with pytest.raises(BadExchange):
            read(**members)


def test_blocks() -> None:
    content = [
        {
            "type": "tool_result",
            "tool_use_id": "c",
            "content": [{"type": "text", "text": "no"}],
            "is_error": True,
        },
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
            "title": "a",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "image", "source": {"type": "url", "url": "https://a/b"}},
    ]
    said = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
    ]
    request = read(messages=[{"role": "user", "content": content}, {"role": "assistant", "content": said}])
    assert request.turns[0].parts == [
        Result("c", [Text("no")], True),
        Media("application/pdf", "aGk=", name="a"),
        Text("plain"),
        Media("image/*", url="https://a/b"),
    ]
    assert request.turns[1].parts == [Thinking("hm", "s"), Thinking(redacted="d"), Call("c", "f", {"a": 1})]
    again = write_request(request, "m").body["messages"]
    assert again[1]["content"] == said and again[0]["content"][0] == {**content[0], "content": "no"}


def test_a_maximum_is_always_written() -> None:
    assert written()["max_tokens"] == 4000
    assert written("claude-3-5-haiku-latest", max_tokens=None)["max_tokens"] == 8192


def test_effort_as_the_model_takes_it() -> None:
    assert "thinking" not in written(effort="none") and "thinking" not in written()
    assert written(effort="minimal")["output_config"] == {"effort": "low"}
    newest = written(effort="high", format=Format({"a": 1}))
    assert newest["thinking"] == {"type": "adaptive"}
    assert newest["output_config"] == {
        "effort": "high",
        "format": {"type": "json_schema", "schema": {"a": 1}},
    }
    assert written(EFFORTLESS, effort="high")["thinking"] == {"type": "enabled", "budget_tokens": 3999}
    assert written(EFFORTLESS, effort="low")["thinking"]["budget_tokens"] == 1024
    called = [
        Turn("user", [Text("a")]),
        Turn("assistant", [Call("c", "f", {})]),
        Turn("user", [Result("c", [])]),
    ]
    assert "thinking" not in written(EFFORTLESS, effort="low", turns=called)
    called[1].parts.insert(0, Thinking("hm", "s"))
    assert "thinking" in written(EFFORTLESS, effort="low", turns=called)


def test_tools_and_choices() -> None:
    schema = {"type": "object", "a": 1}
    tool = Tool("f", "d", schema, True, {"type": "ephemeral"})
    body = written(tools=[tool], parallel=False)
    assert body["tools"] == [
        {"name": "f", "input_schema": schema, "description": "d", "strict": True, "cache_control": {"type": "ephemeral"}}
    ]  # fmt: skip
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert written(tools=[tool], choice="none", parallel=False)["tool_choice"] == {"type": "none"}
    assert written(tools=[tool], choice="tool", chosen="f")["tool_choice"] == {"type": "tool", "name": "f"}
    assert "tool_choice" not in written(parallel=False)


def test_what_another_model_left_is_made_fit() -> None:
    turns = [
        Turn("user", [Text("a")]),
        Turn("assistant", [Thinking("unsigned"), Call("a:b", "f", {})]),
        Turn("user", [Result("a:b", [Text("x")])]),
        Turn("assistant", [Text("")]),
        Turn("user", [Text("go on")]),
    ]
    said = written(turns=turns)["messages"]
    assert said[1]["content"] == [{"type": "tool_use", "id": "a_b", "name": "f", "input": {}}]
    assert said[2]["content"][0]["tool_use_id"] == "a_b" and len(said) == 4


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"temperature": 1.5}, "temperature"),
        ({"format": Format(None)}, "format"),
        ({"turns": [Turn("user", [Media("audio/wav", "aGk=")])]}, "turns"),
        ({"effort": "low", "max_tokens": 100}, "effort"),
    ],
)
def test_what_it_cannot_say(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Inexpressible) as refused:
        written(EFFORTLESS, **members)
    assert refused.value.member == named
    if named == "effort":
        with pytest.raises(Inexpressible):
            written("claude-3-5-haiku", effort="low")


def test_clearing_thoughts_is_what_happens_anyway() -> None:
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}]
    assert read(context_management={"edits": edits}) == read()
    with pytest.raises(Inexpressible):
        read(context_management={"edits": [*edits, {"type": "clear_tool_uses_20250919"}]})


def test_little_things_that_this_api_minds() -> None:
    body = written(system=[Text("")], tools=[Tool("f", "", {})])
    assert "system" not in body and body["tools"][0]["input_schema"] == {"type": "object"}
