"""OpenAI's official SDK, unmodified, for models of Anthropic's and Gemini's APIs."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.support.clients import HELLO, native_tables, say, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.money import Prices, by_request, cost_nanos

PRICE = Prices(input="1", output="2", cached_input="0.1", reasoning="3")
TEXT = "tok " * 16
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
MODELS = ["claude", "gem"]


class City(BaseModel):
    name: str


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(native_tables(provider)) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("translated", budget_usd="5")


@pytest.fixture
def client(gateway: RunningGateway, key: CreatedKey) -> Iterator[openai.OpenAI]:
    with sdk(gateway, key.secret, max_retries=0) as made:
        yield made


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_is_charged_by_the_providers_own_usage(
    client: openai.OpenAI, gateway: RunningGateway, key: CreatedKey, provider: FakeProvider, model: str
) -> None:
    orders = say("[[fake: tokens=20 reasoning=7 cached=2]]")
    raw = client.chat.completions.with_raw_response.create(model=model, messages=orders)
    answer, usage = raw.parse(), raw.parse().usage
    assert answer.choices[0].finish_reason == "stop" and answer.choices[0].message.content
    row = gateway.settled_rows(key.id)[-1]
    [bill] = by_request(provider.settled_ledger())[row["request_id"]]
    assert bill.model == f"m-{model}" and usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (bill.prompt_tokens, bill.completion_tokens)
    assert usage.prompt_tokens_details.cached_tokens == 2
    assert usage.completion_tokens_details.reasoning_tokens == 7
    assert (row["usage_source"], row["charged_nanos"]) == ("provider", cost_nanos(bill, PRICE))
    assert float(raw.headers["x-gateway-cost-usd"]) * 1e9 == pytest.approx(row["charged_nanos"])


@pytest.mark.parametrize("model", MODELS)
def test_streams(
    client: openai.OpenAI, gateway: RunningGateway, key: CreatedKey, provider: FakeProvider, model: str
) -> None:
    asked: Any = {"model": model, "messages": HELLO, "stream": True}
    with client.chat.completions.create(**asked) as events:
        chunks = list(events)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop" and len(chunks) == 18
    asked |= {"max_tokens": 5, "stream_options": {"include_usage": True}}
    with client.chat.completions.create(**asked) as events:
        *_, finish, last = list(events)
    assert finish.choices[0].finish_reason == "length" and not last.choices
    assert last.usage is not None and last.usage.completion_tokens == 5
    rows = gateway.settled_rows(key.id)[-2:]
    bills = by_request(provider.settled_ledger())
    assert [row["charged_nanos"] for row in rows] == [
        cost_nanos(bills[row["request_id"]][0], PRICE) for row in rows
    ]


@pytest.mark.parametrize("model", MODELS)
def test_tools_there_and_back(client: openai.OpenAI, model: str) -> None:
    asked = say("use the tool")
    whole = client.chat.completions.create(model=model, messages=asked, tools=[TOOL]).choices[0]
    with client.chat.completions.stream(model=model, messages=asked, tools=[TOOL]) as stream:
        streamed = stream.get_final_completion().choices[0]
    for choice in (whole, streamed):
        assert choice.finish_reason == "tool_calls" and choice.message.tool_calls
        call = choice.message.tool_calls[0]
        assert call.type == "function" and call.function.name == "look_up"
        assert json.loads(call.function.arguments) == {"city": "x"}
    messages: Any = [
        *asked,
        whole.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": whole.message.tool_calls[0].id, "content": "found"},
    ]
    answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL], tool_choice="none")
    assert answer.choices[0].message.content


@pytest.mark.parametrize("model", MODELS)
def test_pictures_and_structured_output(client: openai.OpenAI, model: str) -> None:
    parts: Any = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": "look"}, {"role": "user", "content": parts}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "city", "schema": City.model_json_schema(), "strict": True},
        },
        stop=["END"],
        temperature=0.5,
    )
    assert answer.choices[0].message.content


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ("mode=status status=400", openai.BadRequestError),
        ("mode=status status=404", openai.NotFoundError),
        ("mode=status status=429", openai.RateLimitError),
        ("mode=status status=529", openai.InternalServerError),
        ("mode=status status=401", openai.InternalServerError),
        ("mode=cut bytes=20", openai.InternalServerError),
    ],
)
def test_the_providers_errors(
    client: openai.OpenAI, model: str, orders: str, expected: type[openai.APIStatusError]
) -> None:
    with pytest.raises(expected) as caught:
        client.chat.completions.create(model=model, messages=say(f"[[fake: {orders}]]"))
    assert caught.value.code and isinstance(caught.value.body, dict) and caught.value.body["message"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "orders", ["mode=stream_error_after after=3", "mode=reset after=3", "mode=cut bytes=0", "mode=bad_chunk"]
)
def test_a_broken_stream_ends_with_an_error(client: openai.OpenAI, model: str, orders: str) -> None:
    with pytest.raises(openai.APIError):
        with client.chat.completions.create(
            model=model, messages=say(f"[[fake: {orders}]]"), stream=True
        ) as events:
            for _ in events:
                pass


def test_what_cannot_be_said_is_refused_with_its_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="claude", messages=HELLO, n=2)
    assert (caught.value.code, caught.value.param) == ("not_translatable", "n")
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="claude", prompt="hello")
    assert refused.value.code == "dialect_not_served"
