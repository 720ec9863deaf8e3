"""The yardstick must forward what it gets, at once and unchanged."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.support.fake_provider import FakeProvider, fake_provider

__all__ = ["fake_provider"]
SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "bare_proxy.py"


@pytest.fixture
def base_url(fake_provider: FakeProvider) -> Iterator[str]:
    command = [sys.executable, str(SCRIPT), "--port", "0", "--upstream", fake_provider.base_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().removeprefix("listening on ").strip() + "/v1"
        process.terminate()
        assert process.wait(5) == 0


async def test_it_forwards_whole_and_streamed(base_url: str, fake_provider: FakeProvider) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-1234", max_retries=0) as client:
        whole = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        assert whole.choices[0].message.content == "tok " * 16
        fake_provider.set_mode("slow", tokens=3, delay_ms=20)
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        async with stream:
            await anext(stream)
            assert fake_provider.stats()["active"] == 1
            assert len([chunk async for chunk in stream]) == 4
        fake_provider.set_mode("status", status=429)
        with pytest.raises(openai.RateLimitError):
            await client.embeddings.create(model="m", input="a")
    assert {entry.authorization_last4 for entry in fake_provider.ledger()} == {"1234"}
