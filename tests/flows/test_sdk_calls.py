"""Every call of the official OpenAI SDK that the gateway offers, unmodified but for base URL and key."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.support.clients import HELLO, say, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml

NAMES = (
    "fake-large", "fake-embedding", "fake-image", "fake-speech", "whisper-fake", "omni-moderation-latest",
)  # fmt: skip
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a city up",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


class City(BaseModel):
    """What structured output shall hold."""

    name: str
    people: int


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    names = ", ".join(f'"{name}"' for name in NAMES)
    tables = provider_toml(provider.base_url, extra=f"models = [{names}]") + (
        '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
        "price = { input = 1, output = 2 }\nmax_output_tokens = 4096\nmax_input_tokens = 100000\n"
    )
    with RunningGateway(tables) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("calls", requests_per_minute=6000, budget_usd=None)


@pytest.fixture
def client(gateway: RunningGateway, key: CreatedKey) -> Iterator[openai.OpenAI]:
    with sdk(gateway, key.secret, max_retries=0) as made:
        yield made


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=HELLO, max_completion_tokens=4, n=2)
    assert len(answer.choices) == 2
    assert answer.choices[0].message.content == "tok tok tok tok "
    assert answer.usage is not None and answer.usage.completion_tokens == 8
    assert answer._request_id is not None and answer._request_id.startswith("req_")


def test_chat_stream_without_usage_shows_none(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="chat", messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "tok " * 16
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_chat_stream_with_usage_ends_with_it(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="chat", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 16


def test_stream_helper_collects_the_answer(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="chat", messages=HELLO) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "tok " * 16


def test_tools_whole_and_streamed(client: openai.OpenAI) -> None:
    asked = say("use the tool")
    whole = client.chat.completions.create(model="chat", messages=asked, tools=[TOOL])
    call = whole.choices[0].message.tool_calls
    assert call is not None and call[0].type == "function" and call[0].function.name == "look_up"
    with client.chat.completions.stream(model="chat", messages=asked, tools=[TOOL]) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls
    assert streamed is not None and streamed[0].function.arguments == call[0].function.arguments
    answer = client.chat.completions.create(
        model="chat",
        messages=[
            *asked,
            {"role": "assistant", "tool_calls": [call[0].model_dump()]},  # type: ignore[list-item,misc]
            {"role": "tool", "tool_call_id": call[0].id, "content": "found"},
        ],
    )
    assert answer.choices[0].finish_reason in ("stop", "tool_calls")


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    chat = client.chat.completions.parse(model="chat", messages=HELLO, response_format=City)
    assert isinstance(chat.choices[0].message.parsed, City)
    response = client.responses.parse(model="chat", input="hello", text_format=City)
    assert isinstance(response.output_parsed, City)
    with client.chat.completions.stream(model="chat", messages=HELLO, response_format=City) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, City)


def test_responses(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="chat", input="hello", max_output_tokens=5)
    assert whole.output_text == "tok " * 5
    assert whole.status == "incomplete"
    with client.responses.create(model="chat", input=HELLO, stream=True) as events:
        kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    with client.responses.stream(model="chat", input="hello", instructions="be brief") as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text == "tok " * 16 and final.usage is not None and final.usage.output_tokens == 16


def test_completions_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="fake-large", prompt=["a", "b"], max_tokens=3)
    assert [choice.text for choice in whole.choices] == ["tok tok tok "] * 2
    with client.completions.create(model="fake-large", prompt="a", stream=True) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == "tok " * 16


def test_embeddings_in_both_encodings(client: openai.OpenAI) -> None:
    default = client.embeddings.create(model="fake-embedding", input=["a", "b"], dimensions=8)
    floats = client.embeddings.create(
        model="fake-embedding", input=[[1, 2, 3]], dimensions=8, encoding_format="float"
    )
    assert len(default.data) == 2
    assert default.data[0].embedding == floats.data[0].embedding
    assert floats.usage.prompt_tokens > 0


def test_moderations(client: openai.OpenAI) -> None:
    answer = client.moderations.create(model="omni-moderation-latest", input=["fine", "also fine"])
    assert [result.flagged for result in answer.results] == [False, False]


def test_images(client: openai.OpenAI) -> None:
    made = client.images.generate(model="fake-image", prompt="a cat", n=2)
    assert made.data is not None and len(made.data) == 2 and made.data[0].b64_json
    edited = client.images.edit(
        model="fake-image", prompt="a dog", image=[("a.png", b"\x89PNG1"), ("b.png", b"\x89PNG2")]
    )
    assert edited.data is not None and len(edited.data) == 1


def test_speech_and_transcription(client: openai.OpenAI) -> None:
    sound = client.audio.speech.create(model="fake-speech", voice="alloy", input="hello there").content
    assert sound and sound == b"\xff" * len(sound)
    with client.audio.speech.with_streaming_response.create(
        model="fake-speech", voice="alloy", input="hello there"
    ) as streamed:
        assert b"".join(streamed.iter_bytes()) == sound
    text = client.audio.transcriptions.create(model="whisper-fake", file=("a.mp3", b"\0" * 32_000))
    assert text.text.startswith("tok")
    plain = client.audio.transcriptions.create(
        model="whisper-fake", file=("a.mp3", b"\0" * 32_000), response_format="text"
    )
    assert str(plain).startswith("tok")
    with pytest.deprecated_call():  # by the SDK; the route stays
        assert client.audio.translations.create(model="whisper-fake", file=("a.mp3", b"\0" * 9)).text


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names == sorted({*NAMES, "chat"})
    for name in (*names, "fake/fake-large", "fake/a/b:c-1"):
        found = client.models.retrieve(name)
        assert (found.id, found.object, found.owned_by) == (name, "model", "fake")
    for unknown in ("nothing", "nobody/fake-large", "chat/"):
        with pytest.raises(openai.NotFoundError) as refused:
            client.models.retrieve(unknown)
        assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_raw_responses_carry_the_headers(client: openai.OpenAI, gateway: RunningGateway) -> None:
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=HELLO, max_tokens=4)
    headers = raw.headers
    assert raw.parse().choices[0].message.content
    assert raw.retries_taken == 0 and raw.request_id == headers["x-request-id"]
    assert headers["x-upstream-request-id"] != headers["x-request-id"]
    assert (headers["x-gateway-provider"], headers["x-gateway-model"]) == ("fake", "fake-large")
    assert headers["x-ratelimit-limit-requests"] == "6000"
    assert 0 <= int(headers["x-ratelimit-remaining-requests"]) < 6000
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    # The provider counts 8 tokens of prompt, at 1 USD a million, and 4 of its answer, at 2.
    assert headers["x-gateway-cost-usd"] == "0.000016"
    budgeted = gateway.create_key("budgeted", budget_usd="1.5", tokens_per_minute=100_000)
    with sdk(gateway, budgeted.secret) as other:
        headers = other.chat.completions.with_raw_response.create(model="chat", messages=HELLO).headers
    assert headers["x-gateway-budget-limit-usd"] == "1.50"
    assert 0 < float(headers["x-gateway-budget-remaining-usd"]) <= 1.5
    assert headers["x-ratelimit-limit-tokens"] == "100000"
    assert "x-ratelimit-limit-requests" not in headers


async def test_the_async_client(gateway: RunningGateway, key: CreatedKey) -> None:
    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=key.secret, max_retries=0) as client:
        whole = await client.chat.completions.create(model="chat", messages=HELLO)
        assert whole.choices[0].message.content == "tok " * 16
        async with await client.chat.completions.create(model="chat", messages=HELLO, stream=True) as stream:
            chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "tok " * 16
        async with client.responses.stream(model="chat", input="hello") as events:
            async for _ in events:
                pass
            assert (await events.get_final_response()).output_text == "tok " * 16
        parsed = await client.chat.completions.parse(model="chat", messages=HELLO, response_format=City)
        assert isinstance(parsed.choices[0].message.parsed, City)
        assert (
            len((await client.embeddings.create(model="fake-embedding", input="a")).data[0].embedding) == 1536
        )
        assert "chat" in [model.id async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="nothing", messages=HELLO)


def test_the_key_may_come_in_the_headers_of_other_sdks(gateway: RunningGateway, key: CreatedKey) -> None:
    with sdk(gateway, "unused", max_retries=0) as client:
        for header in ("api-key", "x-api-key"):
            listed = client.models.list(extra_headers={"Authorization": openai.Omit(), header: key.secret})
            assert "chat" in [model.id for model in listed]
        with pytest.raises(openai.BadRequestError) as refused:
            client.models.list(extra_headers={"api-key": key.secret})
    assert refused.value.code == "conflicting_credentials"
