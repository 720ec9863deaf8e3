"""A request and its answers between two dialects: exact metering, whole events, one end."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.anthropic import AnthropicDialect
from gateway_proxy.dialects.anthropic.form import AnthropicForm
from gateway_proxy.dialects.findings import MAX_EVENT_BYTES
from gateway_proxy.dialects.gemini import GeminiDialect
from gateway_proxy.dialects.gemini.form import GeminiForm
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.dialects.openai.form import OpenAIForm
from gateway_proxy.dialects.translation import TranslatedRequest, Translator
from tests.support.chats import damaged
from tests.support.exchanges import make_exchange, make_model, make_target

TARGET = make_target("anthropic")
TO_ANTHROPIC = Translator(OpenAIDialect(), OpenAIForm(), AnthropicDialect(), AnthropicForm())
TO_GEMINI = Translator(OpenAIDialect(), OpenAIForm(), GeminiDialect(), GeminiForm())
TO_OPENAI = Translator(AnthropicDialect(), AnthropicForm(), OpenAIDialect(), OpenAIForm())
START = b'event: message_start\ndata: {"type":"message_start","message":{"id":"i","model":"m","usage":{"input_tokens":9}}}\n\n'
TEXT = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n'
LAST = b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def translate(
    translator: Translator = TO_ANTHROPIC, answer_tokens: int | None = None, **members: Any
) -> TranslatedRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], **members}
    dialect = translator.client
    operation, path = (
        ("chat", "/v1/chat/completions") if dialect.name == "openai" else ("messages", "/v1/messages")
    )
    route = dialect.identify(operation, path, orjson.dumps(body), "application/json")
    model = make_model(TARGET, answer_tokens=answer_tokens)
    return translator.translate(make_exchange(None, model, route, operation=operation), TARGET)


def sent(translated: TranslatedRequest, cap: int | None = None) -> dict[str, Any]:
    body, _, path = translated.encode(TARGET, cap, False)
    assert path in ("/v1/messages", "/chat/completions")
    value: dict[str, Any] = orjson.loads(body)
    return value


def test_the_maximum_is_the_clients_then_the_models_then_what_the_budget_leaves() -> None:
    assert sent(translate(max_tokens=7))["max_tokens"] == 7
    assert sent(translate(answer_tokens=500))["max_tokens"] == 500
    assert sent(translate(answer_tokens=500), cap=300)["max_tokens"] == 300
    assert sent(translate(answer_tokens=500), cap=900)["max_tokens"] == 500
    assert sent(translate())["max_tokens"] == 8192
    assert sent(translate(TO_OPENAI, max_tokens=7))["max_tokens"] == 7


def test_a_cap_leaves_thinking_where_there_is_room() -> None:
    thinking = sent(translate(reasoning_effort="high", answer_tokens=9000), cap=3000)
    assert thinking["model"] == TARGET.model
    target = make_target("claude-sonnet-4-5")
    route = TO_ANTHROPIC.form.write_request(
        TO_ANTHROPIC.client_form.read_request(
            OpenAIDialect().identify(
                "chat", "/chat/completions", b'{"model":"m","messages":[],"reasoning_effort":"high"}', ""
            )
        ),
        target.model,
    )
    for cap, budget in ((3000, 2999), (500, None)):
        body = orjson.loads(AnthropicDialect().encode(route, target, cap, False)[0])
        assert body.get("thinking", {}).get("budget_tokens") == budget and body["max_tokens"] == cap


def test_what_cannot_be_said_is_a_400_with_the_clients_own_name() -> None:
    with pytest.raises(BadExchange) as refused:
        translate(seed=4)
    assert (refused.value.status, refused.value.code, refused.value.param) == (
        400,
        "not_translatable",
        "seed",
    )
    with pytest.raises(BadExchange) as other:
        translate(TO_OPENAI, max_tokens=5, stop_sequences=list("abcde"))
    assert other.value.param == "stop_sequences"


def test_the_head_is_the_providers() -> None:
    upward = b"accept: */*\r\nuser-agent: x\r\nopenai-beta: y\r\nanthropic-beta: z\r\n"
    assert translate().adapt_head(upward) == b"user-agent: x\r\nanthropic-version: 2023-06-01\r\n"


def feed(*chunks: bytes, ends: bool = True) -> tuple[Any, bytes]:
    tap = translate(stream=True, stream_options={"include_usage": True}).tap(True)
    out = b"".join([tap.feed(chunk) for chunk in chunks])
    return tap, out + (tap.close() if ends else b"")


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream_however_it_is_cut(size: int) -> None:
    stream = START + TEXT + LAST + STOP
    tap, out = feed(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert tap.usage == Usage(input=9, output=4) and tap.finished and not tap.failed and tap.usage_final
    assert out.endswith(b"data: [DONE]\n\n") and out.count(b"[DONE]") == 1
    assert b'"content":"a"' in out and b'"completion_tokens":4' in out


def test_each_event_leaves_when_it_came() -> None:
    tap = translate(stream=True).tap(True)
    assert tap.feed(START) and tap.feed(TEXT[:20]) == b"" and b'"content":"a"' in tap.feed(TEXT[20:])
    assert tap.at_event_boundary()


def test_half_a_stream_has_no_end() -> None:
    tap, out = feed(START, TEXT, LAST)
    assert not tap.finished and tap.needs_end and b"[DONE]" not in out


def test_an_error_event_is_the_last_one() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    tap, out = feed(START, error, TEXT, STOP)
    assert tap.failed and out.endswith(b"}\n\n") and b"[DONE]" not in out
    assert orjson.loads(out.split(b"data: ")[-1])["error"] | {"param": None} == {
        "message": "busy", "type": "api_error", "param": None, "code": "overloaded_error",
    }  # fmt: skip


def test_what_cannot_be_read_ends_the_stream_but_not_the_metering() -> None:
    garbage = b"event: content_block_start\ndata: {}\n\n"
    tap, out = feed(START, garbage, TEXT, LAST, STOP)
    assert tap.failed and out.count(b'"error"') == 1 and b'"content":"a"' not in out
    assert tap.usage == Usage(input=9, output=4)


def test_an_endless_event_is_given_up() -> None:
    tap, out = feed(START, b"data: ", b"x" * (MAX_EVENT_BYTES + 1), b"x\n\n", TEXT)
    assert tap.failed and out.count(b'"error"') == 1 and b'"content":"a"' not in out


def test_whole_answers() -> None:
    translated = translate()
    message = {"id": "i", "model": "m", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}
    told = orjson.loads(translated.translate_answer(orjson.dumps(message), Usage(input=1, output=2)))
    assert told["choices"][0]["message"]["content"] == "a" and told["usage"]["total_tokens"] == 3
    assert translated.tap(False).needs_end is False
    for body in (b"", b"[]", b"{}"):
        with pytest.raises(ValueError):
            translated.translate_answer(body, None)


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"error":{"type":"not_found_error","message":"no"}}', "no", "not_found_error"),
        (b'{"error":{"code":404,"status":"NOT_FOUND","message":"no"}}', "no", "NOT_FOUND"),
        (b"<html>", "The provider answered with status 404.", "upstream_error"),
        (b'{"error":"no"}', "The provider answered with status 404.", "upstream_error"),
    ],
)
def test_errors(body: bytes, message: str, code: str) -> None:
    told = orjson.loads(translate().translate_error(404, body))["error"]
    assert (told["message"], told["type"], told["code"]) == (message, "invalid_request_error", code)
    other = orjson.loads(translate(TO_OPENAI, max_tokens=5).translate_error(404, body))
    assert other["error"]["type"] == "not_found_error" and other["error"]["message"] == message


def test_depth_that_cannot_be_written_again_is_unreadable() -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    message = b'{"content":[{"type":"tool_use","id":"c","name":"f","input":' + deep + b"}]}"
    with pytest.raises(ValueError):
        translate().translate_answer(message, None)


WHOLE: dict[str, Any] = {
    "anthropic": {"id": "i", "model": "m", "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "c", "name": "f",
                  "input": {"a": 1}}], "stop_reason": "end_turn"},
    "openai": {"id": "i", "model": "m", "choices": [{"message": {"content": "a", "tool_calls": [
               {"id": "c", "function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "stop"}]},
    "gemini": {"responseId": "i", "candidates": [{"content": {"parts": [{"text": "a"}, {"functionCall": {"name": "f", "args": {}}}]},
               "finishReason": "STOP"}]},
}  # fmt: skip
EVENTS: dict[str, list[Any]] = {
    "anthropic": [orjson.loads(piece.split(b"data: ")[1]) for piece in (START, TEXT, LAST, STOP)]
    + [{"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}}}],
    "openai": [{"id": "i", "choices": [{"delta": {"content": "a", "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]},
               "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}],
    "gemini": [WHOLE["gemini"]],
}  # fmt: skip


@pytest.mark.slow
@given(st.sampled_from((TO_ANTHROPIC, TO_OPENAI, TO_GEMINI)), st.data())
@settings(max_examples=40, deadline=None)
def test_no_answer_is_a_fault(translator: Translator, data: st.DataObject) -> None:
    translated = translate(translator, max_tokens=5, stream=True)
    name = translator.provider.name
    try:
        translated.translate_answer(orjson.dumps(data.draw(damaged(WHOLE[name]))), None)
    except ValueError:
        pass
    tap = translated.tap(True)
    for event in EVENTS[name]:
        tap.feed(b"data: " + orjson.dumps(data.draw(damaged(event))) + b"\n\n")
    tap.close()
    assert tap.at_event_boundary()
