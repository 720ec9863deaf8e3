"""Responses as the openai SDK sees them."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.fake_provider import FakeProvider

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key="k", max_retries=0) as client:
        yield client


def test_a_whole_response(client: openai.OpenAI, provider: FakeProvider) -> None:
    response = client.responses.create(model="m", input="hi [[fake: tokens=6 reasoning=2]]")
    assert (response.status, response.output_text) == ("completed", "tok " * 4)
    assert response.usage is not None
    assert (response.usage.output_tokens, response.usage.output_tokens_details.reasoning_tokens) == (6, 2)
    assert provider.ledger()[-1].prompt_tokens == response.usage.input_tokens


def test_a_capped_response_is_incomplete(client: openai.OpenAI) -> None:
    response = client.responses.create(model="m", input="hi", max_output_tokens=3)
    assert (response.status, response.output_text) == ("incomplete", "tok " * 3)


def test_the_typed_events_build_the_response(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="hi") as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert kinds.count("response.output_text.delta") == 16
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == "tok " * 16
    assert final.usage is not None
    assert final.usage.output_tokens == 16


def test_a_streamed_function_call(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="use the tool", tools=[TOOL]) as stream:
        final = stream.get_final_response()
    call: Any = final.output[0]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "x"})


def test_an_error_in_mid_stream_is_an_error_event(client: openai.OpenAI, provider: FakeProvider) -> None:
    prompt = "[[fake: mode=stream_error_after after=2]]"
    with client.responses.create(model="m", input=prompt, stream=True) as stream:
        events = list(stream)
    assert [event.type for event in events].count("response.output_text.delta") == 2
    assert events[-1].type == "error"
    assert provider.settled_ledger()[-1].completion_tokens == 2
