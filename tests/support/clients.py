"""The official SDK in front of a gateway: unmodified, given nothing but the base URL and the key."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import openai

from tests.support.gateway import RunningGateway

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
