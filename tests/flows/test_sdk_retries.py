"""What the official SDK tries again, and after how long: a rate limit once the time has come, a budget never."""

import time
from collections.abc import Iterator

import openai
import pytest

from tests.support.clients import HELLO, requests_of, say, sdk
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
