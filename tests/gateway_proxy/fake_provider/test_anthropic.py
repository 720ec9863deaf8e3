"""Messages as the anthropic SDK sees them."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.support.fake_provider import FakeProvider

TOOL: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider.origin, api_key="k", max_retries=0) as client:
        yield client


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_a_whole_message(client: anthropic.Anthropic, provider: FakeProvider) -> None:
    message = client.messages.create(
        model="m", max_tokens=99, messages=say("hi [[fake: tokens=6 reasoning=2 cached=3]]")
    )
    assert message.content[0].type == "text" and message.content[0].text == "tok " * 4
    assert message.stop_reason == "end_turn"
    usage, bill = message.usage, provider.ledger()[-1]
    assert (usage.output_tokens, bill.completion_tokens, bill.reasoning_tokens) == (6, 6, 2)
    assert (usage.cache_read_input_tokens, bill.cached_tokens) == (3, 3)
    assert usage.input_tokens + 3 == bill.prompt_tokens
    assert bill.headers["anthropic-version"]


def test_a_stream_builds_the_message(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="m", max_tokens=3, messages=say("hi")) as stream:
        assert "".join(stream.text_stream) == "tok " * 3
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 3)


def test_tools(client: anthropic.Anthropic) -> None:
    asked = say("use the tool")
    whole = client.messages.create(model="m", max_tokens=99, messages=asked, tools=[TOOL])
    with client.messages.stream(model="m", max_tokens=99, messages=asked, tools=[TOOL]) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        block = message.content[0]
        assert block.type == "tool_use" and (block.name, block.input) == ("weather", {"city": "x"})
        assert message.stop_reason == "tool_use"


def test_counting_is_free(client: anthropic.Anthropic, provider: FakeProvider) -> None:
    assert client.messages.count_tokens(model="m", messages=say("hi")).input_tokens > 0
    bill = provider.ledger()[-1]
    assert bill.billed and bill.prompt_tokens == 0


@pytest.mark.parametrize(
    ("status", "raised"), [(429, anthropic.RateLimitError), (529, anthropic.OverloadedError)]
)
def test_errors(client: anthropic.Anthropic, status: int, raised: type[anthropic.APIStatusError]) -> None:
    with pytest.raises(raised):
        client.messages.create(
            model="m", max_tokens=9, messages=say(f"[[fake: mode=status status={status}]]")
        )
    with pytest.raises(anthropic.APIStatusError) as caught:
        with client.messages.stream(
            model="m", max_tokens=9, messages=say("[[fake: mode=stream_error_after]]")
        ) as stream:
            for _ in stream:
                pass
    assert caught.value.type == "api_error"
