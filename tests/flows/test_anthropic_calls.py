"""Every call of Anthropic's official SDK that the gateway offers, unmodified but for base URL and key."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.support.clients import HELLO, anthropic_sdk, native_tables, requests_of, say
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway

TOOL: Any = {
    "name": "look_up",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TEXT = "tok " * 16


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(native_tables(provider)) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("calls", budget_usd="5", requests_per_minute=6000)


@pytest.fixture
def client(gateway: RunningGateway, key: CreatedKey) -> Iterator[anthropic.Anthropic]:
    with anthropic_sdk(gateway, key.secret) as made:
        yield made


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message_and_its_headers(client: anthropic.Anthropic, provider: FakeProvider) -> None:
    raw = client.messages.with_raw_response.create(
        model="claude",
        max_tokens=99,
        messages=HELLO,
        system="be brief",
        extra_headers={"anthropic-beta": "a-1,b-2"},
    )
    message, headers = raw.parse(), raw.headers
    assert text_of(message) == TEXT and message.stop_reason == "end_turn"
    assert message._request_id == headers["request-id"] == headers["x-request-id"]
    assert headers["x-gateway-provider"] == "anthropic" and headers["x-ratelimit-limit-requests"] == "6000"
    bill = provider.ledger()[-1]
    assert bill.model == "m-claude" and bill.authorization_last4 == "-key"
    assert bill.headers["anthropic-beta"] == "a-1,b-2" and bill.headers["anthropic-version"]
    assert float(headers["x-gateway-cost-usd"]) == (bill.prompt_tokens + 2 * bill.completion_tokens) / 10**6


def test_streams(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="claude", max_tokens=5, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == "tok " * 5
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 5)
    with client.messages.create(model="claude", max_tokens=50, messages=HELLO, stream=True) as events:
        kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]


def test_tools_whole_and_streamed(client: anthropic.Anthropic) -> None:
    asked = say("use the tool")
    whole = client.messages.create(model="claude", max_tokens=99, messages=asked, tools=[TOOL])
    with client.messages.stream(model="claude", max_tokens=99, messages=asked, tools=[TOOL]) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        call = message.content[0]
        assert call.type == "tool_use" and (call.name, call.input) == ("look_up", {"city": "x"})
    call = whole.content[0]
    assert call.type == "tool_use"
    answered: Any = [
        *asked,
        {"role": "assistant", "content": [call.model_dump()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "found"}]},
    ]
    assert client.messages.create(model="claude", max_tokens=9, messages=answered).stop_reason


def test_the_beta_client(client: anthropic.Anthropic, provider: FakeProvider) -> None:
    message = client.beta.messages.create(
        model="claude", max_tokens=9, messages=HELLO, betas=["context-1m-2025-08-07"]
    )
    assert message.usage.output_tokens == 9
    assert provider.ledger()[-1].headers["anthropic-beta"] == "context-1m-2025-08-07"


def test_counting_is_free_even_with_nothing_left(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key("broke", budget_usd="0", tokens_per_minute=1)
    with anthropic_sdk(gateway, key.secret) as client:
        assert client.messages.count_tokens(model="claude", messages=HELLO).input_tokens > 0
    [row] = gateway.settled_rows(key.id)
    assert (row["operation"], row["charged_nanos"], row["usage_source"]) == ("messages", 0, "provider")


def test_models(client: anthropic.Anthropic, gateway: RunningGateway) -> None:
    assert [model.id for model in client.models.list(limit=2)] == ["chat", "claude", "deployed", "gem"]
    assert client.models.retrieve("claude").max_tokens == 4096
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nothing")
    scoped = gateway.create_key("scoped", allowed_models=["cl*"])
    with anthropic_sdk(gateway, scoped.secret) as other:
        assert [model.id for model in other.models.list()] == ["claude"]


async def test_the_async_client_and_a_bearer_token(gateway: RunningGateway, key: CreatedKey) -> None:
    async with anthropic.AsyncAnthropic(
        base_url=gateway.origin, auth_token=key.secret, api_key=None, max_retries=0
    ) as client:
        assert text_of(await client.messages.create(model="claude", max_tokens=99, messages=HELLO)) == TEXT
        async with client.messages.stream(model="claude", max_tokens=99, messages=HELLO) as stream:
            assert "".join([text async for text in stream.text_stream]) == TEXT
        assert (await client.messages.count_tokens(model="claude", messages=HELLO)).input_tokens
        assert [model.id async for model in client.models.list()]
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(model="nothing", max_tokens=9, messages=HELLO)


def test_what_is_logged(gateway: RunningGateway) -> None:
    key = gateway.create_key("logged")
    with anthropic_sdk(gateway, key.secret) as client:
        client.messages.create(model="claude", max_tokens=3, messages=HELLO)
    [row] = requests_of(gateway, key.id)
    assert (row["model"], row["provider"], row["status"], row["output_tokens"]) == (
        "claude",
        "anthropic",
        200,
        3,
    )
