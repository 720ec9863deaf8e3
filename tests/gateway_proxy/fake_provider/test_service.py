"""Routes, the bearer, orders by /__mode, counters."""

from collections.abc import Callable

import openai
import pytest

from tests.gateway_proxy.fake_provider.conftest import Raw
from tests.support.fake_provider import FakeProvider, total_tokens

MESSAGES = [{"role": "user", "content": "hi"}]


def client_of(provider: FakeProvider, api_key: str = "k") -> openai.OpenAI:
    return openai.OpenAI(base_url=provider.base_url, api_key=api_key, max_retries=0)


def test_a_wrong_bearer_is_refused_and_not_accepted(start_fake_provider: Callable[..., FakeProvider]) -> None:
    provider = start_fake_provider(api_key="sk-right")
    with client_of(provider, "sk-wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)
    assert provider.ledger() == []
    assert provider.stats()["refused"] == 1
    raw = Raw(provider.port)
    raw.chat("", "connection: close\r\n")
    assert raw.read_all().startswith(b"HTTP/1.1 401 ")
    raw.socket.close()
    with client_of(provider, "sk-right") as client:
        assert client.chat.completions.create(model="m", messages=MESSAGES).usage is not None


def test_models(provider: FakeProvider) -> None:
    with client_of(provider) as client:
        names = [model.id for model in client.models.list()]
        assert client.models.retrieve(names[0]).id == names[0]
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("unheard-of")


@pytest.mark.parametrize(("path", "status"), [("/v1/nothing", 404), ("/v1/models", 405), ("/__nothing", 404)])
def test_unknown_routes(raw: Raw, path: str, status: int) -> None:
    raw.post(path, {})
    assert raw.read_until(b"\r\n\r\n").startswith(f"HTTP/1.1 {status} ".encode())


def test_orders_hold_for_so_many_requests(provider: FakeProvider) -> None:
    provider.set_mode("status", status=503, times=2)
    with client_of(provider) as client:
        for _ in range(2):
            with pytest.raises(openai.InternalServerError):
                client.chat.completions.create(model="m", messages=MESSAGES)
        assert client.chat.completions.create(model="m", messages=MESSAGES).usage is not None


def test_malformed_orders_are_refused(provider: FakeProvider) -> None:
    with pytest.raises(ValueError, match="mode=nice is unknown"):
        provider.set_mode("nice")
    with client_of(provider) as client, pytest.raises(openai.BadRequestError, match="'colour' is unknown"):
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "[[fake: colour=red]]"}]
        )


def test_counters_agree_with_the_ledger(start_fake_provider: Callable[..., FakeProvider]) -> None:
    provider = start_fake_provider()
    connections = [Raw(provider.port) for _ in range(5)]
    for raw in connections:
        raw.chat("tokens=3 delay_ms=20", "connection: close\r\n")
    for raw in connections:
        raw.read_all()
        raw.socket.close()
    totals, stats = total_tokens(provider.settled_ledger()), provider.stats()
    assert (stats["accepted"], stats["billed"], stats["active"], stats["max_active"]) == (5, 5, 0, 5)
    assert (stats["prompt_tokens"], stats["completion_tokens"]) == (
        totals.prompt_tokens,
        totals.completion_tokens,
    )
    assert totals.completion_tokens == 15
