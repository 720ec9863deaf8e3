"""Generated content as the google-genai SDK sees it, and as an array."""

from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.gateway_proxy.fake_provider.conftest import Raw
from tests.support.fake_provider import FakeProvider

TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
            ),
        )
    ]
)


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[genai.Client]:
    with genai.Client(api_key="k", http_options=types.HttpOptions(base_url=provider.origin)) as client:
        yield client


def test_a_whole_answer(client: genai.Client, provider: FakeProvider) -> None:
    answer = client.models.generate_content(model="m", contents="hi [[fake: tokens=6 reasoning=2 cached=3]]")
    usage, bill = answer.usage_metadata, provider.ledger()[-1]
    assert answer.text == "tok " * 4 and usage is not None
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (4, 2)
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (bill.prompt_tokens, 3)
    assert (bill.completion_tokens, bill.reasoning_tokens, bill.cached_tokens) == (6, 2, 3)


def test_a_stream_counts_up(client: genai.Client) -> None:
    config = types.GenerateContentConfig(max_output_tokens=3)
    pieces = list(client.models.generate_content_stream(model="m", contents="hi", config=config))
    assert "".join(piece.text or "" for piece in pieces) == "tok " * 3
    counts = [piece.usage_metadata.candidates_token_count for piece in pieces if piece.usage_metadata]
    assert counts == [1, 2, 3, 3]
    last = pieces[-1].candidates
    assert last is not None and last[0].finish_reason == types.FinishReason.MAX_TOKENS


def test_an_array(raw: Raw, provider: FakeProvider) -> None:
    body: dict[str, Any] = {"contents": [{"parts": [{"text": "hi [[fake: tokens=2]]"}]}]}
    raw.post("/v1beta/models/m:streamGenerateContent", body)
    answer = raw.read_until(b"\r\n0\r\n\r\n")
    assert b"content-type: application/json" in answer and b'"finishReason": "STOP"' in answer
    raw.post("/v1beta/models/m:streamGenerateContent?alt=sse", body)
    assert b"content-type: text/event-stream" in raw.read_until(b"\r\n0\r\n\r\n")
    assert [bill.completion_tokens for bill in provider.ledger()[-2:]] == [2, 2]


@pytest.mark.parametrize("streamed", [False, True])
def test_tools(client: genai.Client, streamed: bool) -> None:
    config = types.GenerateContentConfig(
        tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    call = client.models.generate_content_stream if streamed else client.models.generate_content
    answer: Any = call(model="m", contents="use the tool", config=config)
    last = list(answer)[-1] if streamed else answer
    assert last.function_calls[0].name == "weather" and last.function_calls[0].args == {"city": "x"}


def test_counting_is_free_and_embedding_is_not(client: genai.Client, provider: FakeProvider) -> None:
    assert client.models.count_tokens(model="m", contents="hi").total_tokens
    assert provider.ledger()[-1].prompt_tokens == 0
    embedded = client.models.embed_content(model="m", contents=["a", "b"]).embeddings
    assert embedded is not None and len(embedded) == 2
    assert provider.ledger()[-1].prompt_tokens > 0


def test_errors(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="m", contents="[[fake: mode=status status=403]]")
    assert (refused.value.code, refused.value.status) == (403, "PERMISSION_DENIED")
    with pytest.raises(errors.ServerError):
        list(client.models.generate_content_stream(model="m", contents="[[fake: mode=stream_error_after]]"))
