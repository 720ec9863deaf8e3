"""The ends of a key, and a gateway that cannot judge, as each official SDK raises them: class, status and code."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors

from gateway_proxy.core.clock import format_time
from gateway_proxy.keys.service import Caller
from tests.support.clients import HELLO, anthropic_sdk, gemini_sdk, native_tables, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.in_process import serve

_CALLER = Caller("tests")
UNKNOWN = "gwk_" + "A" * 49


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(native_tables(provider)) as running:
        yield running


@pytest.fixture(scope="module")
def cut_off(provider: FakeProvider) -> Iterator[tuple[RunningGateway, str]]:
    """A gateway whose store was lost a while ago, and a secret."""
    with RunningGateway(
        native_tables(provider) + "[gateway]\nmax_staleness_seconds = 1\nstrict_staleness_seconds = 1\n"
    ) as running:
        secret = running.create_key("stale").secret
        for suffix in ("", "-wal"):
            os.truncate(f"{running.store_path}{suffix}", 0)
        deadline = time.monotonic() + 30
        while running.fetch("/v1/models", secret=secret)[0] == 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield running, secret


def ask_openai(gateway: RunningGateway, secret: str) -> tuple[str, int, str]:
    with sdk(gateway, secret, max_retries=0) as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="chat", messages=HELLO)
    return type(raised.value).__name__, raised.value.status_code, str(raised.value.code)


def ask_anthropic(gateway: RunningGateway, secret: str) -> tuple[str, int, str]:
    with anthropic_sdk(gateway, secret) as client, pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(model="claude", max_tokens=5, messages=HELLO)
    return type(raised.value).__name__, raised.value.status_code, str(raised.value.error_code)


def ask_gemini(gateway: RunningGateway, secret: str) -> tuple[str, int, str]:
    with gemini_sdk(gateway, secret) as client, pytest.raises(errors.APIError) as raised:
        client.models.generate_content(model="gem", contents="hello")
    details: Any = raised.value.details
    [info] = [d for d in details["error"]["details"] if d["@type"].endswith("ErrorInfo")]
    return type(raised.value).__name__, raised.value.code, info["reason"]


def end(gateway: RunningGateway, key: CreatedKey, how: str) -> None:
    if how == "expire":
        gateway.update_key(key.id, expires_at=format_time(round(time.time() * 1000) + 1000))
        time.sleep(1.1)
    else:
        gateway.change_keys(lambda service, _: getattr(service, how)(key.id, _CALLER))


CLIENTS: dict[str, tuple[Callable[[RunningGateway, str], tuple[str, int, str]], str, str]] = {
    "openai": (ask_openai, "AuthenticationError", "InternalServerError"),
    "anthropic": (ask_anthropic, "AuthenticationError", "ServiceUnavailableError"),
    "gemini": (ask_gemini, "ClientError", "ServerError"),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("how", "code"), [("expire", "key_expired"), ("deactivate", "key_inactive"), ("revoke", "key_revoked")]
)
def test_the_ends_of_a_key(gateway: RunningGateway, client: str, how: str, code: str) -> None:
    ask, raised, _ = CLIENTS[client]
    key = gateway.create_key(how)
    end(gateway, key, how)
    assert ask(gateway, key.secret) == (raised, 401, code)


@pytest.mark.parametrize("how", ["revoke", "delete"])
def test_a_token_ends_with_its_key(gateway: RunningGateway, how: str) -> None:
    key = gateway.create_key(how)
    status, minted = gateway.fetch("/v1/key/ephemeral", secret=key.secret, body={})
    assert status == 201
    end(gateway, key, how)
    for ask, raised, _ in CLIENTS.values():
        assert ask(gateway, minted["token"]) == (raised, 401, "key_revoked")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_key_that_nobody_knows(gateway: RunningGateway, client: str) -> None:
    ask, raised, _ = CLIENTS[client]
    assert ask(gateway, UNKNOWN) == (raised, 401, "invalid_api_key")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_gateway_that_was_cut_off(cut_off: tuple[RunningGateway, str], client: str) -> None:
    ask, _, raised = CLIENTS[client]
    assert ask(*cut_off) == (raised, 503, "store_stale")


async def test_a_gateway_that_cannot_judge_or_has_too_much_to_do(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(tmp_path, native_tables(provider), budget_usd="1") as served:
        origin = f"http://127.0.0.1:{served.port}"
        place: Any = SimpleNamespace(origin=origin, url=f"{origin}/v1")

        async def ask_all(code: str) -> None:
            for ask, _, raised in CLIENTS.values():
                assert await asyncio.to_thread(ask, place, served.secret) == (raised, 503, code)

        served.gateway.limiter._keys.clear()
        await ask_all("budget_unverifiable")
        monkeypatch.setattr("gateway_proxy.proxy.handler.MAX_RUNNING", 0)
        await ask_all("overloaded")
