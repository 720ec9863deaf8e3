"""Azure, both ways: OpenAI's SDKs in front of deployments, and Azure's SDK in front of the gateway."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.clients import HELLO, native_tables, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway

TEXT = "tok " * 16


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(native_tables(provider)) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("calls", budget_usd="5")


@pytest.fixture
def azure(gateway: RunningGateway, key: CreatedKey) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.origin, api_key=key.secret, api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


def test_openais_sdk_reaches_a_deployment(
    gateway: RunningGateway, key: CreatedKey, provider: FakeProvider
) -> None:
    with sdk(gateway, key.secret, max_retries=0) as client:
        whole = client.chat.completions.create(model="deployed", messages=HELLO)
        assert whole.choices[0].message.content == TEXT
        bill = provider.ledger()[-1]
        assert (bill.model, bill.authorization_last4, bill.path) == (
            "m-deployed",
            "-key",
            "/v1/chat/completions",
        )
        with client.chat.completions.create(model="deployed", messages=HELLO, stream=True) as stream:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == TEXT
        assert client.responses.create(model="deployed", input="hello").output_text == TEXT
        assert client.embeddings.create(model="deployed", input="hello").data


@pytest.mark.parametrize("model", ["deployed", "chat"])
def test_azures_sdk(azure: openai.AzureOpenAI, model: str) -> None:
    assert azure.chat.completions.create(model=model, messages=HELLO).choices[0].message.content == TEXT
    with azure.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == TEXT
    assert azure.embeddings.create(model=model, input="hello").data
    assert azure.responses.create(model=model, input="hello").output_text == TEXT
    assert [entry.id for entry in azure.models.list()] == ["chat", "claude", "deployed", "gem"]


def test_a_deployment_in_the_address(
    gateway: RunningGateway, key: CreatedKey, provider: FakeProvider
) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.origin,
        azure_deployment="deployed",
        api_key=key.secret,
        api_version="2024-10-21",
        max_retries=0,
    ) as client:
        answer = client.chat.completions.create(model="whatever", messages=HELLO)
    assert answer.choices[0].message.content == TEXT and provider.ledger()[-1].model == "m-deployed"


def test_refusals(azure: openai.AzureOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        azure.chat.completions.create(model="nothing", messages=HELLO)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as foreign:
        azure.embeddings.create(model="claude", input="hello")
    assert foreign.value.code == "dialect_not_served"
    answer = azure.chat.completions.create(model="claude", messages=HELLO)
    assert answer.choices[0].message.content == TEXT
