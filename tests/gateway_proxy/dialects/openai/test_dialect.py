"""OpenAIDialect: the golden request shapes, and what leaves for the upstream."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.multipart import parse_form
from gateway_proxy.dialects.openai import OpenAIDialect

CORPUS = Path(__file__).parents[3] / "support" / "corpus" / "openai_requests.jsonl"
CASES = [orjson.loads(line) for line in CORPUS.read_bytes().splitlines()]
DIALECT: Dialect = OpenAIDialect()
TARGET = Target("acme", "upstream-name")
FORM_TYPE = "multipart/form-data; boundary=b"


def identify(path: str, body: dict[str, Any], operation: str = "chat") -> Route:
    return DIALECT.identify(operation, path, orjson.dumps(body), "application/json")


def chat(**members: Any) -> Route:
    return identify("/v1/chat/completions", {"model": "m", "messages": [], **members})


def encode(route: Route, cap: int | None = None, modern: bool = False) -> dict[str, Any]:
    body, content_type, _ = DIALECT.encode(route, TARGET, cap, modern)
    assert content_type == "application/json"
    sent: dict[str, Any] = orjson.loads(body)
    return sent


def form(*fields: tuple[str, str]) -> bytes:
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields)
    return f"{parts}--b--\r\n".encode()


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_request(case: dict[str, Any]) -> None:
    want = case["expect"]
    route = identify(case["path"], case["body"], want["operation"])
    got = {
        "operation": route.operation,
        "model": route.model,
        "stream": route.stream,
        "choices": route.choices,
        "max_output_tokens": route.max_output_tokens,
        "opaque": route.bound.opaque,
        "unbounded": route.bound.unbounded is not None,
        "strip_usage": route.strip_usage,
        "extra_tokens": route.bound.tokens - route.body_bytes,
        "images": (route.bound.units or Usage()).images,
        "characters": (route.bound.units or Usage()).characters,
        "service_tier": route.service_tier,
    }
    assert got == {"images": 0, "characters": 0, "service_tier": None, **want}
    assert route.path == case["path"].removeprefix("/v1")
    assert route.body_bytes == len(orjson.dumps(case["body"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_only_our_edits_change_what_leaves(case: dict[str, Any]) -> None:
    sent = encode(identify(case["path"], case["body"], case["expect"]["operation"]))
    want = {**case["body"], "model": "upstream-name"}
    if case["expect"]["strip_usage"]:
        want["stream_options"] = {**(want.get("stream_options") or {}), "include_usage": True}
    assert sent == want


def test_one_attempts_edits_do_not_reach_the_next() -> None:
    route = chat(stream=True, stream_options={"include_obfuscation": False}, max_tokens=7)
    before = orjson.dumps(route.body)
    assert encode(route, 300, True)["max_completion_tokens"] == 300
    assert orjson.dumps(route.body) == before
    assert encode(route) == {
        "model": "upstream-name",
        "messages": [],
        "stream": True,
        "stream_options": {"include_obfuscation": False, "include_usage": True},
        "max_tokens": 7,
    }


@pytest.mark.parametrize("cap", [None, 300])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_attempt_sends_the_same(case: dict[str, Any], cap: int | None) -> None:
    """The first attempt is served from what was serialised before, the next one from the parsed value."""
    for model in ("upstream-name", case["expect"]["model"]):
        route = identify(case["path"], case["body"], case["expect"]["operation"])
        target = Target("acme", model)
        first, again = (DIALECT.encode(route, target, cap, True)[0] for _ in range(2))
        assert first == again
        assert orjson.loads(first)["model"] == model


def test_what_needs_no_edit_leaves_as_it_was_judged() -> None:
    route = DIALECT.identify(
        "chat", "/v1/chat/completions", b'{"model": "m", "n": 1, "messages": [], "n": 2}', ""
    )
    assert DIALECT.encode(route, Target("acme", "m"), None, True)[0] == b'{"model":"m","n":2,"messages":[]}'
    assert not route.encoded  # a long answer must not keep it in memory


@pytest.mark.parametrize("modern", [True, False])
def test_the_cap_is_written_once_in_the_targets_own_field(modern: bool) -> None:
    sent = encode(chat(max_tokens=None, max_completion_tokens=None), 256, modern)
    assert [sent.get("max_tokens"), sent.get("max_completion_tokens")] == (
        [None, 256] if modern else [256, None]
    )
    assert ("max_tokens" in sent) is not modern


@pytest.mark.parametrize("size", [100, 100_000])
def test_our_edits_are_written_behind_the_body_of_the_client(size: int) -> None:
    members = {"model": "m", "messages": [{"role": "user", "content": "x" * size}], "stream": True}
    body, _, _ = DIALECT.encode(identify("/v1/chat/completions", members), Target("acme", "m"), 7, True)
    sent = body if isinstance(body, bytes) else b"".join(body)
    edits = {"stream_options": {"include_usage": True}, "max_completion_tokens": 7}
    assert sent == orjson.dumps({**members, **edits})


def test_the_cap_of_the_other_operations() -> None:
    completion = identify("/v1/completions", {"model": "m", "prompt": "x"}, "completions")
    assert encode(completion, 256, True)["max_tokens"] == 256
    response = identify("/v1/responses", {"model": "m", "input": "x"}, "responses")
    assert encode(response, 256, True)["max_output_tokens"] == 256
    embedding = identify("/v1/embeddings", {"model": "m", "input": "x"}, "embeddings")
    assert encode(embedding, 256) == {"model": "upstream-name", "input": "x"}


def test_repeated_members_leave_as_they_were_judged() -> None:
    body = b'{"model":"a","model":"b","messages":[],"n":1,"n":3}'
    route = DIALECT.identify("chat", "/v1/chat/completions", body, "")
    assert (route.model, route.choices) == ("b", 3)
    assert DIALECT.encode(route, TARGET, None, False)[0] == b'{"model":"upstream-name","messages":[],"n":3}'


@pytest.mark.parametrize("path", ["/v1/files", "/chat", "/v1/chat/completions/", "/v1/Responses", ""])
def test_nothing_at_other_paths(path: str) -> None:
    with pytest.raises(BadExchange) as caught:
        identify(path, {"model": "m"})
    assert (caught.value.status, caught.value.code) == (404, "route_not_found")


def test_a_form_keeps_everything_but_the_model() -> None:
    body = form(("model", "whisper-1"), ("language", "de"), ("stream", "true"))
    route = DIALECT.identify("audio", "/v1/audio/transcriptions", body, FORM_TYPE)
    assert (route.model, route.stream, route.bound.opaque) == ("whisper-1", True, True)
    assert route.bound.unbounded is not None
    sent = parse_form(*DIALECT.encode(route, TARGET, 256, True)[:2])
    assert [(part.name, part.value) for part in sent.parts] == [
        ("model", b"upstream-name"),
        ("language", b"de"),
        ("stream", b"true"),
    ]


def test_picture_edits_come_as_forms_too() -> None:
    route = DIALECT.identify(
        "images", "/v1/images/edits", form(("model", "m"), ("prompt", "a hat"), ("n", "2")), FORM_TYPE
    )
    assert (route.choices, (route.bound.units or Usage()).images, route.bound.opaque) == (2, 2, True)


@pytest.mark.parametrize("fields", [(), (("model", ""),)])
def test_a_form_without_a_model(fields: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(BadExchange) as caught:
        DIALECT.identify("audio", "/v1/audio/transcriptions", form(("language", "de"), *fields), FORM_TYPE)
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize("name", ["models", "models[]", "Fallbacks[0]", "route", "Model", "model[]"])
def test_a_form_names_no_other_models(name: str) -> None:
    fields = (("model", "m"), (name, "x")) if name != "Model" else ((name, "x"),)
    with pytest.raises(BadExchange) as caught:
        DIALECT.identify("audio", "/v1/audio/transcriptions", form(*fields), FORM_TYPE)
    assert (caught.value.code, caught.value.param) == ("invalid_type", name)


def test_the_credential() -> None:
    assert DIALECT.upstream_headers("sk-1") == [("Authorization", "Bearer sk-1")]
    assert DIALECT.upstream_headers(None) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6), st.text(max_size=20), st.booleans())
def test_more_input_never_lowers_the_bound(texts: list[str], more: str, tools: bool) -> None:
    def bound(contents: list[str], offer: bool) -> int:
        messages = [{"role": "user", "content": content} for content in contents]
        tool = {"tools": [{"type": "function", "function": {"name": "f"}}]} if offer else {}
        return chat(messages=messages, **tool).bound.tokens

    # Well-formed text only: lone surrogates are refused long before.
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    more = more.encode("utf-8", "ignore").decode()
    least = bound(texts, tools)
    assert least >= sum(len(text.encode()) for text in texts) + 16 * len(texts) + 1024 * tools
    assert bound([*texts, more], tools) > least
    assert bound([text + more for text in texts], tools) >= least
    assert bound(texts, True) >= least
