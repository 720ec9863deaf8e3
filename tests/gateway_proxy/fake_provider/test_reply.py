"""Chat and completions as the openai SDK sees them."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.fake_provider import FakeProvider

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key="sk-test-1234", max_retries=0) as client:
        yield client


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_plain_answer_and_its_bill(client: openai.OpenAI, provider: FakeProvider) -> None:
    answer = client.chat.completions.create(
        model="m",
        messages=ask("hi [[fake: tokens=5 cached=2 reasoning=1]]"),
        n=2,
        extra_headers={
            "x-request-id": "req_7",
            "traceparent": "00-a-b-01",
            "x-gateway-attempt": "2",
            "x-api-key": "secret9876",
        },
    )
    assert [choice.message.content for choice in answer.choices] == ["tok " * 4] * 2
    assert answer.usage is not None
    entry = provider.ledger()[-1]
    assert (entry.prompt_tokens, entry.completion_tokens) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    assert (entry.completion_tokens, entry.reasoning_tokens, entry.cached_tokens) == (10, 2, 2)
    assert (entry.request_id, entry.traceparent, entry.attempt) == ("req_7", "00-a-b-01", 2)
    assert (entry.authorization_last4, entry.headers["x-api-key"]) == ("1234", "9876")
    assert "secret" not in provider.ledger_path.read_text()


def test_a_stream_without_usage_has_none(client: openai.OpenAI) -> None:
    with client.chat.completions.with_raw_response.create(
        model="m", messages=ask("hi"), stream=True
    ).parse() as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "tok " * 16
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_with_usage_has_null_and_then_one_extra_chunk(
    client: openai.OpenAI, provider: FakeProvider
) -> None:
    with client.chat.completions.create(
        model="m", messages=ask("hi"), stream=True, max_tokens=4, n=2, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == provider.ledger()[-1].completion_tokens == 8
    assert {choice.finish_reason for chunk in chunks for choice in chunk.choices} == {None, "length"}
    for index in (0, 1):
        parts = [c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index]
        assert "".join(parts) == "tok " * 4


def test_a_tool_is_called_when_asked_to(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="m", messages=ask("please use the tool"), tools=[TOOL])
    assert answer.choices[0].finish_reason == "tool_calls"
    calls: Any = answer.choices[0].message.tool_calls
    assert json.loads(calls[0].function.arguments) == {"city": "x", "days": 1}
    plain = client.chat.completions.create(model="m", messages=ask("hi"), tools=[TOOL])
    assert plain.choices[0].message.tool_calls is None


def test_a_streamed_tool_call_assembles(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="m", messages=ask("use the tool"), tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    calls: Any = final.choices[0].message.tool_calls
    assert (calls[0].function.name, json.loads(calls[0].function.arguments)) == (
        "weather",
        {"city": "x", "days": 1},
    )


def test_a_schema_is_answered(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"names": {"type": "array"}, "ok": {"type": "boolean"}}}
    answer = client.chat.completions.create(
        model="m",
        messages=ask("hi"),
        response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
    )
    assert json.loads(answer.choices[0].message.content or "") == {"names": [], "ok": True}


def test_completions_one_choice_a_prompt(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="m", prompt=["a", "b"], max_tokens=3)
    assert [choice.text for choice in answer.choices] == ["tok tok tok "] * 2
    with client.completions.create(
        model="m", prompt="a", stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "tok " * 16
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 16


async def test_the_async_client_streams_too(provider: FakeProvider) -> None:
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="k", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="m", messages=ask("hi [[fake: tokens=40]]"), stream=True
        )
        async with stream:
            text = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(text) == "tok " * 40
