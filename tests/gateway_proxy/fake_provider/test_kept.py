"""Responses that the provider keeps, as the openai SDK fetches them."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.fake_provider import FakeProvider


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key="k", max_retries=0) as client:
        yield client


def test_a_response_is_kept_until_it_is_deleted(client: openai.OpenAI) -> None:
    made = client.responses.create(model="m", input="hi")
    assert client.responses.retrieve(made.id) == made
    assert client.responses.create(model="m", input="x", previous_response_id=made.id).output_text
    client.responses.delete(made.id)
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            ask(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="m", input="x", previous_response_id=made.id)


def test_a_response_that_is_not_to_be_stored(client: openai.OpenAI) -> None:
    made = client.responses.create(model="m", input="hi", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
