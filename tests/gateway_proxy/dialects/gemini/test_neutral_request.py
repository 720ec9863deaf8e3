"""What is said to Gemini's API."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from gateway_proxy.core.catalog import Target
from gateway_proxy.dialects.gemini import GeminiDialect
from gateway_proxy.dialects.gemini.neutral_request import write_request
from gateway_proxy.dialects.neutral.request import (
    Call,
    Format,
    Inexpressible,
    Media,
    Part,
    Request,
    Result,
    Text,
    Thinking,
    Tool,
    Turn,
)
from tests.support.chats import requests


def written(model: str = "gemini-3-pro", **members: Any) -> dict[str, Any]:
    body: dict[str, Any] = write_request(Request(**members), model).body
    return body


def parts_of(*parts: Part, model: str = "gemini-2.5-pro") -> list[dict[str, Any]]:
    call = Turn("assistant", [Call("c", "f", {})])
    [*_, last] = written(model, turns=[call, Turn("user", list(parts))])["contents"]
    found: list[dict[str, Any]] = last["parts"]
    return found


@pytest.mark.slow
@given(request=requests())
@settings(max_examples=20, deadline=None)
def test_what_leaves_is_what_the_dialect_itself_understands(request: Request) -> None:
    route = write_request(request, "m")
    body, _, path = GeminiDialect().encode(route, Target("p", "m"), request.max_tokens, False)
    again = GeminiDialect().identify("gemini", path, body, "application/json")
    assert (again.model, again.stream, again.max_output_tokens) == ("m", request.stream, request.max_tokens)
    assert again.bound.unbounded is None
    assert again.bound.opaque == any(type(part) is Media for turn in request.turns for part in turn.parts)
    said = [p["text"] for content in orjson.loads(body)["contents"] for p in content["parts"] if "text" in p]
    assert said == [p.text for turn in request.turns for p in turn.parts if type(p) is Text]


def test_every_member() -> None:
    body = written(
        system=[Text("s")], turns=[Turn("user", [Text("u")]), Turn("assistant", [Thinking("hm"), Text("a")])], temperature=0.5,
        top_p=0.9, top_k=4, stop=["END"], seed=3, presence_penalty=1, frequency_penalty=0.5, format=Format({"a": 1}), effort="max",
        tools=[Tool("f", "d", {"b": 1})], choice="tool", chosen="f", user="left out", stream=True,
    )  # fmt: skip
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "u"}]}, {"role": "model", "parts": [{"text": "a"}]}],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"b": 1}, "description": "d"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "temperature": 0.5, "topP": 0.9, "topK": 4, "stopSequences": ["END"], "seed": 3, "presencePenalty": 1,
            "frequencyPenalty": 0.5, "responseMimeType": "application/json", "responseJsonSchema": {"a": 1},
            "thinkingConfig": {"thinkingLevel": "high"},
        },
    }  # fmt: skip


def test_thinking_as_the_model_takes_it() -> None:
    for effort, budget in (("none", 0), ("low", 1024), ("high", 24_576)):
        assert written("gemini-2.5-flash", effort=effort)["generationConfig"]["thinkingConfig"] == {
            "thinkingBudget": budget
        }
    assert written(thinking_tokens=77)["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 77}


def test_strict_tools_are_validated() -> None:
    tool = Tool("f", "", {}, strict=True)
    for choice, mode in ((None, "VALIDATED"), ("none", "NONE"), ("any", "ANY")):
        assert written(tools=[tool], choice=choice)["toolConfig"]["functionCallingConfig"]["mode"] == mode
    assert "toolConfig" not in written(tools=[Tool("f", "", {})])
    assert "generationConfig" not in written()


def test_calls_bring_their_signature_or_one_that_says_there_is_none() -> None:
    calls = [Turn("assistant", [Call("c", "f", {}), Call("d", "f", {}), Call("e", "f", {}, "s")])]
    parts = written(turns=calls)["contents"][0]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["skip_thought_signature_validator", None, "s"]
    assert "thoughtSignature" not in written("gemini-2.5-pro", turns=calls)["contents"][0]["parts"][0]


def test_results_and_media() -> None:
    assert parts_of(
        Result("c", [Text("a"), Text("b")]),
        Result("c", [Text("no")], is_error=True),
        Media("audio/wav", "aGk="),
        Media("image/*", url="https://a/b.PNG?x=1"),
    ) == [
        {"functionResponse": {"id": "c", "name": "f", "response": {"output": "a\nb"}}},
        {"functionResponse": {"id": "c", "name": "f", "response": {"error": "no"}}},
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://a/b.PNG?x=1"}},
    ]


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"parallel": False, "tools": [Tool("f", "", {})]}, "parallel"),
        ({"effort": "none"}, "effort"),
        ({"turns": [Turn("user", [Result("c", [])])]}, "turns"),
        ({"turns": [Turn("assistant", [Call("c", "f", {})]), Turn("user", [Result("c", [Media("image/png", "a")])])]}, "turns"),
        ({"turns": [Turn("user", [Media("image/*", url="https://a/b")])]}, "turns"),
    ],
)  # fmt: skip
def test_what_it_cannot_say(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Inexpressible) as refused:
        written(**members)
    assert refused.value.member == named
