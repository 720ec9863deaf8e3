"""One provider for the whole folder (it is fast to ask and slow to start), and raw HTTP to it."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_provider import FakeProvider, fake_provider, start_fake_provider

__all__ = ["fake_provider", "start_fake_provider"]


@pytest.fixture(scope="package")
def shared_provider() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider
        assert provider.errors() == ""


@pytest.fixture
def provider(shared_provider: FakeProvider) -> FakeProvider:
    """The shared one, without orders."""
    shared_provider.set_mode("honest")
    return shared_provider


class Raw:
    """One raw connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def post(self, path: str, body: dict[str, Any] | bytes, headers: str = "") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n{headers}\r\n"
        self.socket.sendall(head.encode() + data)

    def chat(self, directive: str, headers: str = "", **more: Any) -> None:
        message = {"role": "user", "content": f"[[fake: {directive}]]"}
        self.post("/v1/chat/completions", {"model": "m", "messages": [message], **more}, headers)

    def read_until(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError(f"the connection ended before {mark!r}: {data!r}")
            data += piece
        return data

    def read_all(self) -> bytes:
        data = b""
        while piece := self.socket.recv(1 << 20):
            data += piece
        return data


@pytest.fixture
def raw(provider: FakeProvider) -> Iterator[Raw]:
    connection = Raw(provider.port)
    yield connection
    connection.socket.close()
