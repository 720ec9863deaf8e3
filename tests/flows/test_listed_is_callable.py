"""What `/v1/models` lists for a key is exactly what the key can call, whatever its scopes."""

import itertools
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.clients import HELLO, closed_port, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

# The price table knows 8 names of this preset. Nothing is reached: the gateway is given a proxy that is not there.
PRESET = '[[providers]]\nname = "cerebras"\napi_key = "file:provider.key"\n'
MODELS = """
[[models]]
name = "priced"
targets = [{ provider = "fake", model = "fake-large" }]
price = { input = 1, output = 2 }
max_output_tokens = 1000
[[models]]
name = "unpriced"
targets = [{ provider = "fake", model = "fake-large" }]
[[models]]
name = "either"
retries = 0
targets = [{ provider = "fake", model = "unpriced-there" }, { provider = "cerebras", model = "gpt-oss-120b" }]
max_output_tokens = 1000
max_input_tokens = 1000
"""
LISTED = ("priced", "unpriced", "either", "listed", "unlisted-twin", "gpt-oss-120b", "llama3.1-8b")
# Three that resolve and are not listed, and one that does not.
UNLISTED = ("fake/anything", "cerebras/gpt-oss-120b", "cerebras/new", "nobody/x")

MODEL_SCOPES: list[Any] = [None, [], ["priced", "listed"], ["un*", "cerebras/*", "gpt-oss-120b", "either"]]
PROVIDER_SCOPES: list[Any] = [None, [], ["fake"], ["cerebras"]]
BUDGETS = (None, "1")
ENDPOINT_SCOPES: list[Any] = [None, []]
REFUSALS = {"model_not_found", "provider_not_allowed", "endpoint_not_allowed", "model_unpriced"}


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    tables = provider_toml(provider.base_url, extra='models = ["listed", "unlisted-twin"]') + PRESET + MODELS
    nowhere = {"HTTPS_PROXY": f"http://127.0.0.1:{closed_port()}"}
    with RunningGateway(tables, environment=nowhere) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: RunningGateway) -> Iterator[openai.OpenAI]:
    """The client of a key without limits."""
    with sdk(gateway, gateway.create_key("everything").secret, max_retries=0) as made:
        yield made


def can_call(client: openai.OpenAI, name: str) -> bool:
    """Whether a chat request gets past the key's scopes; what the provider does then is no matter."""
    code: str | None = None
    try:
        client.chat.completions.create(model=name, messages=HELLO, max_tokens=4)
    except openai.APIStatusError as error:
        code = error.code
    assert code in {None, "upstream_unavailable"} | REFUSALS
    return code not in REFUSALS


def can_find(client: openai.OpenAI, name: str) -> bool:
    try:
        return client.models.retrieve(name).id == name
    except openai.NotFoundError:
        return False


def test_everything_is_listed_for_a_key_without_limits(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert set(LISTED) < set(names) and not set(UNLISTED) & set(names)
    assert len(names) > 10 and sorted(set(names)) == names
    assert all(can_call(client, name) for name in names)


@pytest.mark.parametrize("models", MODEL_SCOPES, ids=str)
@pytest.mark.parametrize("providers", PROVIDER_SCOPES, ids=str)
def test_listed_is_callable_and_callable_is_listed(
    gateway: RunningGateway, client: openai.OpenAI, models: Any, providers: Any
) -> None:
    sizes = set()
    for budget, endpoints in itertools.product(BUDGETS, ENDPOINT_SCOPES):
        key = gateway.create_key(
            allowed_models=models, allowed_providers=providers, budget_usd=budget, allowed_endpoints=endpoints
        )
        scoped = client.with_options(api_key=key.secret)
        listed = {model.id for model in scoped.models.list()}
        allowed = {name for name in (*LISTED, *UNLISTED) if can_call(scoped, name)}
        found = {name for name in (*LISTED, *UNLISTED) if can_find(scoped, name)}
        context = (models, providers, budget, endpoints)
        assert listed & {*LISTED, *UNLISTED} == allowed - set(UNLISTED), context
        assert found == allowed, context
        sizes.add(len(listed))
    assert 0 in sizes
    if models is None and providers is None:
        assert len(sizes) == 3  # nothing without an endpoint, less under a budget
