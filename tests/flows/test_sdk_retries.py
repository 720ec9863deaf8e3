"""What the official SDKs try again, and after how long: a rate limit once the time has come, a budget never."""

import time
from collections.abc import Iterator

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from tests.support.clients import HELLO, anthropic_sdk, gemini_sdk, native_tables, requests_of, say, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    tables = provider_toml(provider.base_url) + (
        '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nretries = 0\n'
        "price = { input = 1, output = 2 }\nmax_output_tokens = 8192\nmax_input_tokens = 100000\n"
    )
    with RunningGateway(tables) as running:
        yield running


def test_a_rate_limit_is_retried_once_and_in_time(gateway: RunningGateway) -> None:
    key = gateway.create_key(requests_per_minute=120, burst=1)
    with sdk(gateway, key.secret) as client:
        client.chat.completions.create(model="chat", messages=HELLO)
        started = time.monotonic()
        raw = client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
        waited = time.monotonic() - started
    assert raw.retries_taken == 1
    assert 0.2 < waited < 2
    assert [row["status"] for row in requests_of(gateway, key.id)] == [200, 429, 200]


def test_a_tokens_limit_is_retried_in_time(gateway: RunningGateway) -> None:
    key = gateway.create_key(tokens_per_minute=6000)  # 100 a second
    with sdk(gateway, key.secret) as client:
        everything = say("[[fake: tokens=5900]]")
        client.chat.completions.create(model="chat", messages=everything, max_completion_tokens=5900)
        raw = client.chat.completions.with_raw_response.create(
            model="chat", messages=HELLO, max_completion_tokens=150
        )
    assert raw.retries_taken == 1
    assert raw.headers["x-ratelimit-limit-tokens"] == "6000"


def test_a_budget_refusal_is_never_retried(gateway: RunningGateway) -> None:
    key = gateway.create_key(budget_usd="0.0001")
    with sdk(gateway, key.secret) as client, pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="chat", messages=HELLO)
    assert refused.value.code == "insufficient_quota"
    [row] = requests_of(gateway, key.id)
    assert (row["status"], row["error_code"], row["admitted"]) == (429, "insufficient_quota", 0)


async def test_the_async_client_retries_alike(gateway: RunningGateway) -> None:
    limited, broke = gateway.create_key(requests_per_minute=120, burst=1), gateway.create_key(budget_usd="0")
    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=limited.secret) as client:
        await client.chat.completions.create(model="chat", messages=HELLO)
        raw = await client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
        assert raw.retries_taken == 1
        with pytest.raises(openai.RateLimitError):
            await client.with_options(api_key=broke.secret).chat.completions.create(
                model="chat", messages=HELLO
            )
    assert len(requests_of(gateway, broke.id)) == 1


def test_a_provider_that_is_busy_is_retried_after_its_own_time(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    key = gateway.create_key()
    provider.set_mode("status", status=429, retry_after="0.2", times=1)
    with sdk(gateway, key.secret) as client:
        raw = client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
    assert raw.retries_taken == 1
    assert [row["status"] for row in requests_of(gateway, key.id)] == [429, 200]


@pytest.fixture(scope="module")
def native(provider: FakeProvider) -> Iterator[RunningGateway]:
    """Every dialect, and 402 for budgets."""
    with RunningGateway(native_tables(provider) + "[security]\nbudget_status = 402\n") as running:
        yield running


def statuses_of(gateway: RunningGateway, key_id: str) -> list[int]:
    return [row["status"] for row in requests_of(gateway, key_id)]


def test_anthropics_sdk_retries_a_rate_limit_once_and_in_time(native: RunningGateway) -> None:
    key = native.create_key(requests_per_minute=120, burst=1)
    with anthropic_sdk(native, key.secret, max_retries=anthropic.DEFAULT_MAX_RETRIES) as client:
        client.messages.create(model="claude", max_tokens=5, messages=HELLO)
        started = time.monotonic()
        raw = client.messages.with_raw_response.create(model="claude", max_tokens=5, messages=HELLO)
        waited = time.monotonic() - started
    assert raw.retries_taken == 1
    assert 0.2 < waited < 2
    assert statuses_of(native, key.id) == [200, 429, 200]


def test_anthropics_sdk_never_retries_a_budget(gateway: RunningGateway, native: RunningGateway) -> None:
    for running, model, status in ((gateway, "chat", 429), (native, "claude", 402)):
        key = running.create_key(budget_usd="0")
        with anthropic_sdk(running, key.secret, max_retries=anthropic.DEFAULT_MAX_RETRIES) as client:
            with pytest.raises(anthropic.APIStatusError) as refused:
                client.messages.create(model=model, max_tokens=5, messages=HELLO)
        assert refused.value.status_code == status
        assert statuses_of(running, key.id) == [status]


def gemini_retrying(gateway: RunningGateway, secret: str) -> genai.Client:
    """Google's SDK retries only if it is told to, by status alone; it reads neither `retry-after` nor `x-should-retry`."""
    retries = types.HttpRetryOptions(attempts=3, initial_delay=0.6, jitter=0)
    options = types.HttpOptions(base_url=gateway.origin, api_version="v1beta", retry_options=retries)
    return genai.Client(api_key=secret, http_options=options)


def test_googles_sdk_as_it_comes_leaves_retries_to_its_caller(native: RunningGateway) -> None:
    key = native.create_key(requests_per_minute=120, burst=1)
    with gemini_sdk(native, key.secret) as client:
        client.models.generate_content(model="gem", contents="hello")
        with pytest.raises(errors.ClientError) as refused:
            client.models.generate_content(model="gem", contents="hello")
    [told] = [d for d in refused.value.details["error"]["details"] if d["@type"].endswith("RetryInfo")]
    assert 0 < float(told["retryDelay"].removesuffix("s")) <= 0.5
    assert statuses_of(native, key.id) == [200, 429]


def test_googles_sdk_that_retries_passes_a_rate_limit_and_never_repeats_a_budget(
    native: RunningGateway,
) -> None:
    limited, broke = native.create_key(requests_per_minute=120, burst=1), native.create_key(budget_usd="0")
    with gemini_retrying(native, limited.secret) as client:
        for _ in range(2):
            assert client.models.generate_content(model="gem", contents="hello").text
    assert statuses_of(native, limited.id) == [200, 429, 200]
    with gemini_retrying(native, broke.secret) as client, pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="gem", contents="hello")
    assert refused.value.code == 402
    assert statuses_of(native, broke.id) == [402]
