"""content: what bounds a request and what leaves it without a bound."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import Route
from gateway_proxy.dialects.gemini import GeminiDialect
from gateway_proxy.dialects.members import TOKENS_PER_MESSAGE, TOKENS_WITH_TOOLS

HELLO = [{"role": "user", "parts": [{"text": "hello"}]}]


def identify(method: str = "generateContent", **members: Any) -> Route:
    body = orjson.dumps(
        members
        if method.endswith(("Content", "Contents")) and method != "generateContent"
        else {"contents": HELLO, **members}
    )
    return GeminiDialect().identify("gemini", f"/v1beta/models/m:{method}", body, "application/json")


def say(*parts: Any) -> list[Any]:
    return [{"role": "user", "parts": list(parts)}]


def test_text_is_bounded_by_its_bytes() -> None:
    route = identify(
        systemInstruction={"parts": [{"text": "be brief"}]},
        generationConfig={
            "maxOutputTokens": 100,
            "candidateCount": 3,
            "thinkingConfig": {"thinkingBudget": 50},
        },
        serviceTier="flex",
    )
    assert route.bound.tokens == route.body_bytes + 2 * TOKENS_PER_MESSAGE
    assert (route.bound.opaque, route.bound.unbounded, route.bound.units) == (False, None, None)
    assert (route.max_output_tokens, route.choices, route.wants_output_cap) == (100, 3, True)
    assert (route.stream, route.service_tier, route.free) == (False, "flex", False)
    assert identify().max_output_tokens is None


def test_the_other_spelling_is_read_too() -> None:
    route = identify(generation_config={"max_output_tokens": 7, "candidate_count": 2})
    assert (route.max_output_tokens, route.choices) == (7, 2)
    assert route.body["generationConfig"] == {"maxOutputTokens": 7, "candidateCount": 2}


@pytest.mark.parametrize(
    "part",
    [
        {"text": "x", "thought": True, "thoughtSignature": "s"},
        {"functionCall": {"name": "f", "args": {"a": [1]}}},
        {"function_response": {"name": "f", "response": {"a": 1}}},
    ],
)
def test_parts_of_text(part: dict[str, Any]) -> None:
    assert not identify(contents=say(part)).bound.opaque


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        {"inline_data": {"mime_type": "image/png", "data": "iVBO"}},
        {"fileData": {"fileUri": "https://x"}},
        {"text": "x", "videoMetadata": {}},
        {"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": {}}]}},
        {"function_response": 3},
        "x",
    ],
)
def test_anything_else_is_opaque(part: Any) -> None:
    assert identify(contents=say(part)).bound.opaque
    assert identify(systemInstruction={"parts": [part]}).bound.opaque
    assert identify("embedContent", content={"parts": [part]}).bound.opaque


@pytest.mark.parametrize(
    "members",
    [{"cachedContent": "cachedContents/1"}, {"contents": [{"role": "user"}]}, {"contents": [{"parts": 3}]}],
)
def test_opaque_bodies(members: dict[str, Any]) -> None:
    assert identify(**members).bound.opaque


def test_the_clients_own_tools_cost_tokens() -> None:
    route = identify(tools=[{"functionDeclarations": [{"name": "f"}], "codeExecution": None}])
    assert route.bound.tokens == route.body_bytes + 2 * TOKENS_PER_MESSAGE + TOKENS_WITH_TOOLS
    assert not route.bound.opaque and route.bound.unbounded is None


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{"googleSearch": {}}]},
        {"tools": [{"google_search": {}}]},
        {"tools": [{"functionDeclarations": []}, {"codeExecution": {}}]},
        {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        {"generation_config": {"response_modalities": ["audio"]}},
        {"generationConfig": {"speechConfig": {}}},
        {"somethingNew": 1},
    ],
)
def test_what_has_no_bound(members: dict[str, Any]) -> None:
    assert identify(**members).bound.unbounded is not None


@pytest.mark.parametrize(
    "members",
    [
        {"generationConfig": {"responseModalities": ["text"]}},
        {"somethingNew": None},
        {"tools": None},
        {"generationConfig": None},
    ],
)
def test_what_says_nothing_costs_nothing(members: dict[str, Any]) -> None:
    assert identify(**members).bound.unbounded is None


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"contents": "hi"}, "invalid_type", "contents"),
        ({"contents": ["hi"]}, "invalid_type", "contents"),
        ({"contents": None}, "invalid_type", "contents"),
        ({"tools": [3]}, "invalid_type", "tools"),
        ({"tools": {}}, "invalid_type", "tools"),
        ({"generationConfig": []}, "invalid_type", "generationConfig"),
        ({"generationConfig": {"maxOutputTokens": "9"}}, "invalid_type", "maxOutputTokens"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "invalid_type", "maxOutputTokens"),
        ({"generationConfig": {"candidateCount": 500}}, "invalid_type", "candidateCount"),
        ({"generationConfig": {"MaxOutputTokens": 5}}, "invalid_json", "generationConfig.maxOutputTokens"),
        (
            {"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}},
            "invalid_json",
            "maxOutputTokens",
        ),
        ({"generationConfig": {"routingConfig": {}}}, "invalid_type", "generationConfig.routingConfig"),
        ({"GenerationConfig": {}}, "invalid_json", "generationConfig"),
        ({"generation_config": {}, "generationConfig": {}}, "invalid_json", "generationConfig"),
        ({"model": "models/other"}, "invalid_type", "model"),
        ({"model": 3}, "invalid_type", "model"),
        ({"generateContentRequest": {"model": "other"}}, "invalid_type", "model"),
        ({"generateContentRequest": 3}, "invalid_type", "generateContentRequest"),
    ],
)
def test_what_is_refused(members: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(BadExchange) as caught:
        identify(**members)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)


def test_embeddings_have_no_output() -> None:
    one = identify("embedContent", content={"parts": [{"text": "x"}]}, model="models/m")
    assert (one.max_output_tokens, one.wants_output_cap, one.bound.opaque) == (0, False, False)
    requests = [{"model": "models/m", "content": {"parts": [{"text": "x"}]}}] * 3
    many = identify("batchEmbedContents", requests=requests)
    assert many.bound.tokens == many.body_bytes + 3 * TOKENS_PER_MESSAGE
    with pytest.raises(BadExchange):
        identify("batchEmbedContents", requests=[*requests, {"model": "models/other"}])
    with pytest.raises(BadExchange):
        identify("batchEmbedContents", requests=["x"])


@pytest.mark.parametrize(
    ("members", "ids"),
    [
        ({"cachedContent": "cachedContents/1"}, ["cachedContents/1"]),
        ({"contents": say({"fileData": {"fileUri": "files/abc"}})}, ["files/abc"]),
        (
            {
                "contents": say(
                    {"file_data": {"file_uri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}
                )
            },
            ["files/abc"],
        ),
        (
            {"contents": say({"fileData": {"fileUri": "https://x@G.googleapis.com:443/v1/fi%6ces/abc?x=1"}})},
            ["files/abc"],
        ),
        ({"contents": say({"fileData": {"fileUri": "https://[bad/files/abc"}})}, ["https://[bad/files/abc"]),
        ({"contents": say({"fileData": {"fileUri": "gs://bucket/files/abc"}})}, []),
        ({"contents": say({"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}})}, []),
        ({"contents": say({"text": "files/abc"})}, []),
    ],
)
def test_ids_of_kept_things_are_seen(members: dict[str, Any], ids: list[str]) -> None:
    kept = identify(**members).kept
    assert [reference.id for reference in kept.references] == ids if kept is not None else not ids
