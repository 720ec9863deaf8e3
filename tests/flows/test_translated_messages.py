"""Anthropic's official SDK, unmodified, for models of OpenAI's, Azure's and Gemini's APIs; and a model whose targets speak several."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.support.client import Client
from tests.support.clients import HELLO, NATIVE_PRICE, anthropic_sdk, native_tables, say, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.money import Prices, by_request, cost_nanos

PRICE = Prices(input="1", output="2", cached_input="0.1", reasoning="3")
TEXT = "tok " * 16
TOOL: Any = {
    "name": "look_up",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
MODELS = ["chat", "deployed", "gem"]
MIXED = (
    '[[models]]\nname = "mixed"\nretries = 0\ntargets = [\n'
    '{ provider = "fake", model = "first+mode=status+status=503" },\n'
    '{ provider = "anthropic", model = "m-claude" },\n]\n' + NATIVE_PRICE
)


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(native_tables(provider) + MIXED) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("translated", budget_usd="5")


@pytest.fixture
def client(gateway: RunningGateway, key: CreatedKey) -> Iterator[anthropic.Anthropic]:
    with anthropic_sdk(gateway, key.secret) as made:
        yield made


@pytest.mark.parametrize("model", MODELS)
def test_messages_whole_and_streamed_are_charged_by_the_providers_own_usage(
    client: anthropic.Anthropic, gateway: RunningGateway, key: CreatedKey, provider: FakeProvider, model: str
) -> None:
    asked: Any = {
        "model": model,
        "max_tokens": 40,
        "messages": say("[[fake: tokens=20 reasoning=7 cached=2]]"),
    }
    whole = client.messages.create(**asked, system="be brief", stop_sequences=["END"])
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    rows, bills = gateway.settled_rows(key.id)[-2:], by_request(provider.settled_ledger())
    for message, row in zip((whole, streamed), rows, strict=True):
        [bill] = bills[row["request_id"]]
        assert message.content[0].type == "text" and message.stop_reason == "end_turn"
        assert (
            message.usage.cache_read_input_tokens == 2
            and message.usage.output_tokens == bill.completion_tokens
        )
        assert message.usage.input_tokens == bill.prompt_tokens - 2
        assert (row["usage_source"], row["charged_nanos"]) == ("provider", cost_nanos(bill, PRICE))


@pytest.mark.parametrize("model", MODELS)
def test_events_come_in_the_order_of_this_api(client: anthropic.Anthropic, model: str) -> None:
    with client.messages.create(model=model, max_tokens=5, messages=HELLO, stream=True) as events:
        kinds = [event.type for event in events]
    blocks = ["content_block_start", *["content_block_delta"] * 5, "content_block_stop"]
    assert kinds == ["message_start", *blocks, "message_delta", "message_stop"]


@pytest.mark.parametrize("model", MODELS)
def test_tools_there_and_back(client: anthropic.Anthropic, model: str) -> None:
    asked = say("use the tool")
    whole = client.messages.create(model=model, max_tokens=99, messages=asked, tools=[TOOL])
    with client.messages.stream(model=model, max_tokens=99, messages=asked, tools=[TOOL]) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        call = message.content[0]
        assert message.stop_reason == "tool_use" and call.type == "tool_use"
        assert (call.name, call.input) == ("look_up", {"city": "x"})
    result = {"type": "tool_result", "tool_use_id": whole.content[0].id, "content": "found"}  # type: ignore[union-attr]
    answered: Any = [
        *asked,
        {"role": "assistant", "content": [block.model_dump() for block in whole.content]},
        {"role": "user", "content": [result]},
    ]
    assert client.messages.create(model=model, max_tokens=9, messages=answered).content


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ("mode=status status=400", anthropic.BadRequestError),
        ("mode=status status=404", anthropic.NotFoundError),
        ("mode=status status=429", anthropic.RateLimitError),
        ("mode=error_after", anthropic.InternalServerError),
    ],
)
def test_the_providers_errors(
    client: anthropic.Anthropic, model: str, orders: str, expected: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(expected) as caught:
        client.messages.create(model=model, max_tokens=9, messages=say(f"[[fake: {orders}]]"))
    assert isinstance(caught.value.body, dict) and caught.value.body["type"] == "error"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "orders", ["mode=stream_error_after after=3", "mode=reset after=3", "mode=bad_chunk"]
)
def test_a_broken_stream_ends_with_an_error(client: anthropic.Anthropic, model: str, orders: str) -> None:
    with pytest.raises(anthropic.APIError):
        with client.messages.stream(model=model, max_tokens=9, messages=say(f"[[fake: {orders}]]")) as stream:
            stream.get_final_message()


def test_what_cannot_be_said_is_refused_with_its_name(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="chat", max_tokens=9, messages=HELLO, extra_body={"top_k": 4})
    assert isinstance(caught.value.body, dict)
    assert (caught.value.body["error"]["code"], caught.value.body["error"]["param"]) == (
        "not_translatable",
        "top_k",
    )
    with pytest.raises(anthropic.BadRequestError) as counted:
        client.messages.count_tokens(model="chat", messages=HELLO)
    assert "cannot be counted" in counted.value.message


def test_fallback_from_one_dialect_to_another(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key("mixed")
    with (
        sdk(gateway, key.secret, max_retries=0) as asks_openai,
        anthropic_sdk(gateway, key.secret) as asks_anthropic,
    ):
        raw = asks_openai.chat.completions.with_raw_response.create(model="mixed", messages=HELLO)
        message = asks_anthropic.messages.create(model="mixed", max_tokens=99, messages=HELLO)
        assert (
            raw.headers["x-gateway-provider"] == "anthropic"
            and raw.parse().choices[0].message.content == TEXT
        )
        assert message.content[0].type == "text" and message.content[0].text == TEXT
        with pytest.raises(openai.InternalServerError):  # the target that can be told is the one that fails
            asks_openai.chat.completions.create(model="mixed", messages=HELLO, seed=4)
    rows = gateway.settled_rows(key.id)
    assert [(row["provider"], row["charged_nanos"] > 0) for row in rows] == [
        ("fake", False), ("anthropic", True), ("fake", False), ("anthropic", True), ("fake", False),
    ]  # fmt: skip
    assert "Traceback" not in gateway.log_text()


async def test_a_budget_is_never_passed(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key("capped", budget_usd="0.003")
    body = {"messages": say("[[fake: tokens=100000]]")}
    async with Client(gateway.origin, key.secret, connections=8) as client:
        for model in ("claude", "gem"):
            await client.send({**body, "model": model, "stream": model == "gem"}, "/v1/chat/completions")
        last = await client.send({**body, "model": "claude"}, "/v1/chat/completions")
    rows, bills = gateway.settled_rows(key.id), by_request(provider.settled_ledger())
    assert rows and sum(row["charged_nanos"] for row in rows) <= 3_000_000 and last.status == 429
    assert all(row["charged_nanos"] == cost_nanos(bills[row["request_id"]][0], PRICE) for row in rows)
    assert "more than its bound" not in gateway.log_text()
