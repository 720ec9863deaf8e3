"""dialect: the model comes from the path and goes into one; what was parsed is what leaves."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.errors import BadExchange, Forbidden
from gateway_proxy.core.route import Route
from gateway_proxy.dialects.gemini import GeminiDialect
from gateway_proxy.dialects.gemini.tap import AnswerTap, ArrayTap, StreamTap

DIALECT = GeminiDialect()
BODY: dict[str, Any] = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"topK": 3}}


def identify(path: str, body: dict[str, Any] = BODY) -> Route:
    return DIALECT.identify("gemini", path, orjson.dumps(body), "application/json")


@pytest.mark.parametrize(
    ("path", "model", "sent_to"),
    [
        ("/v1beta/models/m:generateContent", "m", "/v1beta/models/t-1.5:generateContent"),
        ("/v1/models/google/g-2:generateContent", "google/g-2", "/v1/models/t-1.5:generateContent"),
        ("/v1beta/models/a%20b:c:streamGenerateContent?alt=sse", "a b:c", "/v1beta/models/t-1.5:streamGenerateContent?alt=sse"),
        ("/v1beta/models/models/m:streamGenerateContent", "models/m", "/v1beta/models/t-1.5:streamGenerateContent"),
    ],
)  # fmt: skip
def test_the_model_and_its_place(path: str, model: str, sent_to: str) -> None:
    route = identify(path)
    assert route.model == model
    for name in ("t-1.5", "models/t-1.5"):
        assert DIALECT.encode(route, Target("p", name), None, True) == (
            orjson.dumps(BODY),
            "application/json",
            sent_to,
        )


@pytest.mark.parametrize("name", ["../x", "a?b", "a#b", "a b", "a/b", "ä", "a\r\nx: y", "..", "%2e"])
def test_no_name_leaves_its_place_in_the_path(name: str) -> None:
    path = DIALECT.encode(identify("/v1beta/models/m:generateContent"), Target("p", name), None, True)[2]
    inner = path.removeprefix("/v1beta/models/").removesuffix(":generateContent")
    assert inner.isascii() and not set(inner) & set("/?# \r\n")


def test_streams() -> None:
    events, array = (
        identify("/v1/models/m:streamGenerateContent?alt=sse"),
        identify("/v1/models/m:streamGenerateContent"),
    )
    assert (events.stream, events.as_array, array.stream, array.as_array) == (True, False, True, True)
    assert type(DIALECT.tap(events, True)) is StreamTap and type(DIALECT.tap(array, False)) is ArrayTap
    assert type(DIALECT.tap(identify("/v1/models/m:generateContent"), False)) is AnswerTap


def test_the_cap_is_written_where_it_belongs() -> None:
    route = identify("/v1/models/m:generateContent")
    sent = orjson.loads(DIALECT.encode(route, Target("p", "m"), 300, True)[0])
    assert sent == {**BODY, "generationConfig": {"topK": 3, "maxOutputTokens": 300}}
    assert route.body == BODY
    bare = identify("/v1/models/m:generateContent", {"contents": []})
    assert orjson.loads(DIALECT.encode(bare, Target("p", "m"), 300, True)[0])["generationConfig"] == {
        "maxOutputTokens": 300
    }


def test_models_that_the_body_repeats_follow() -> None:
    content = {"parts": [{"text": "x"}]}
    batch = identify(
        "/v1/models/m:batchEmbedContents",
        {"requests": [{"model": "models/m", "content": content}, {"content": content}]},
    )
    assert orjson.loads(DIALECT.encode(batch, Target("p", "t"), None, True)[0]) == {
        "requests": [{"model": "models/t", "content": content}, {"content": content}]
    }
    asked = {"generateContentRequest": {"model": "models/m", "contents": []}}
    count = identify("/v1/models/m:countTokens", asked)
    assert count.free and orjson.loads(DIALECT.encode(count, Target("p", "t"), None, True)[0]) == {
        "generateContentRequest": {"model": "models/t", "contents": []}
    }
    assert count.body == asked


@pytest.mark.parametrize("path", ["/v1/models/m:tuneModel", "/v1/models/:generateContent", "/v1/models/m"])
def test_other_paths_are_not_there(path: str) -> None:
    with pytest.raises(BadExchange) as caught:
        identify(path)
    assert (caught.value.status, caught.value.code) == (404, "route_not_found")


def test_heads_and_refusals() -> None:
    assert DIALECT.upstream_headers("k") == [("x-goog-api-key", "k")] and DIALECT.upstream_headers(None) == []
    error = Forbidden("No.")
    assert DIALECT.error_body(error, "r") in DIALECT.error_event(error, "gemini", "r")
