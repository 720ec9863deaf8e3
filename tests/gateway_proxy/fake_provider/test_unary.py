"""Embeddings, moderations, images, speech, transcriptions, rerank."""

import base64
import json
import urllib.request
from collections.abc import Iterator

import openai
import pytest

from tests.support.fake_provider import FakeProvider


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key="k", max_retries=0) as client:
        yield client


def test_embeddings_in_both_encodings_are_the_same(client: openai.OpenAI, provider: FakeProvider) -> None:
    packed = client.embeddings.create(model="e", input=["a", "b"], dimensions=8)
    plain = client.embeddings.create(model="e", input=["a", "b"], dimensions=8, encoding_format="float")
    assert [item.embedding for item in packed.data] == [item.embedding for item in plain.data]
    assert len(packed.data[1].embedding) == 8
    assert len(client.embeddings.create(model="e", input=[1, 2, 3]).data) == 1
    assert (provider.ledger()[-1].prompt_tokens, provider.ledger()[-1].completion_tokens) == (6, 0)


def test_moderations_are_free(client: openai.OpenAI, provider: FakeProvider) -> None:
    answer = client.moderations.create(input=["a", "b"])
    assert [result.flagged for result in answer.results] == [False, False]
    assert provider.ledger()[-1].prompt_tokens == 0


def test_images_are_png_and_counted(client: openai.OpenAI, provider: FakeProvider) -> None:
    answer = client.images.generate(model="i", prompt="a cat [[fake: tokens=10]]", n=2)
    assert answer.data is not None
    assert answer.usage is not None
    assert base64.b64decode(answer.data[1].b64_json or "").startswith(b"\x89PNG")
    entry = provider.ledger()[-1]
    assert (answer.usage.output_tokens, entry.completion_tokens, entry.units) == (20, 20, {"images": 2})
    edited = client.images.edit(model="i", image=b"png", prompt="a dog")
    assert edited.data is not None


def test_speech_is_bytes_by_the_token(client: openai.OpenAI, provider: FakeProvider) -> None:
    sound = client.audio.speech.create(model="s", voice="alloy", input="hé [[fake: tokens=3]]")
    assert len(sound.content) == 300
    assert provider.ledger()[-1].units == {"characters": 21}


def test_transcriptions_by_token_and_by_second(client: openai.OpenAI, provider: FakeProvider) -> None:
    by_token = client.audio.transcriptions.create(
        model="gpt-t", file=b"\0" * 1000, prompt="[[fake: tokens=2]]"
    )
    assert by_token.text == "tok tok"
    assert by_token.usage is not None
    assert by_token.usage.type == "tokens"
    assert by_token.usage.input_tokens == provider.ledger()[-1].prompt_tokens
    by_second = client.audio.transcriptions.create(model="whisper-1", file=b"\0" * 48_000)
    assert by_second.usage is not None
    assert by_second.usage.type == "duration"
    assert by_second.usage.seconds == provider.ledger()[-1].units["seconds"] == 3
    assert client.audio.transcriptions.create(model="t", file=b"x", response_format="text").startswith("tok ")


def test_rerank_keeps_order_and_counts_a_search(provider: FakeProvider) -> None:
    body = {"model": "r", "query": "q", "documents": ["a", "b", "c"], "top_n": 2, "return_documents": True}
    request = urllib.request.Request(provider.base_url + "/rerank", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=5) as answer:
        results = json.load(answer)["results"]
    assert [(result["index"], result["document"]["text"]) for result in results] == [(0, "a"), (1, "b")]
    assert provider.ledger()[-1].units == {"searches": 1}
