"""The official SDKs in front of a gateway: unmodified, given nothing but the base URL and the key."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

HELLO: list[Any] = [{"role": "user", "content": "hello"}]


def say(text: str) -> list[Any]:
    """One user message; directives for the fake provider may stand in it."""
    return [{"role": "user", "content": text}]


@contextlib.contextmanager
def sdk(gateway: RunningGateway, secret: str, **options: Any) -> Iterator[openai.OpenAI]:
    """A client of this gateway, closed at the end. `options` are the client's own."""
    with openai.OpenAI(base_url=gateway.url, api_key=secret, **options) as client:
        yield client


def requests_of(gateway: RunningGateway, key_id: str) -> list[dict[str, Any]]:
    """What the gateway logged for a key, oldest first: one row a request, refusals included."""
    gateway.settled_rows(key_id)
    return gateway.query("SELECT * FROM request_log WHERE key_id = ? ORDER BY at, request_id", key_id)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def anthropic_sdk(gateway: RunningGateway, secret: str, **options: Any) -> Iterator[anthropic.Anthropic]:
    """The same for Anthropic's SDK, which does not retry unless told to."""
    with anthropic.Anthropic(
        base_url=gateway.origin, api_key=secret, **{"max_retries": 0, **options}
    ) as client:
        yield client


@contextlib.contextmanager
def gemini_sdk(gateway: RunningGateway, secret: str, version: str = "v1beta") -> Iterator[genai.Client]:
    """The same for Google's SDK, which does not retry unless told to."""
    options = types.HttpOptions(base_url=gateway.origin, api_version=version)
    with genai.Client(api_key=secret, http_options=options) as client:
        yield client


NATIVE_PRICE = (
    "price = { input = 1, output = 2, cached_input = 0.1, reasoning = 3 }\n"
    "max_output_tokens = 4096\nmax_input_tokens = 100000\n"
)


def native_tables(provider: FakeProvider) -> str:
    """The fake provider in every dialect: models `chat`, `claude`, `gem` and `deployed`, one each."""
    tables = provider_toml(provider.base_url)
    for name in ("anthropic", "gemini", "azure"):
        extra = 'api_version = "2024-10-21"' if name == "azure" else ""
        tables += provider_toml(provider.origin, name=name, dialect=name, extra=extra)
    served = {"chat": "fake", "claude": "anthropic", "gem": "gemini", "deployed": "azure"}
    for model, target in served.items():
        tables += f'[[models]]\nname = "{model}"\ntargets = [{{ provider = "{target}", model = "m-{model}" }}]\nretries = 0\n'
        tables += NATIVE_PRICE
    return tables
