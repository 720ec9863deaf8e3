"""Answers of providers: whole, large, refused, and cut by a revocation."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.client import Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import provider_toml
from tests.support.in_process import Served, serve
from tests.support.money import model_toml
from tests.support.raw import make_request


@pytest.fixture
async def served(tmp_path: Path, fake_provider: FakeProvider) -> AsyncIterator[Served]:
    async with serve(tmp_path, provider_toml(fake_provider.base_url) + model_toml()) as running:
        yield running


async def test_a_whole_answer_tells_its_cost(served: Served) -> None:
    async with Client(f"http://127.0.0.1:{served.port}", served.secret) as client:
        answer = await client.send(chat_body("tokens=10"))
    assert answer.status == 200 and float(answer.headers["x-gateway-cost-usd"]) > 0
    assert (answer.headers["x-gateway-provider"], answer.headers["x-gateway-model"]) == ("fake", "m-chat")


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [100_000, 600_000])
async def test_large_answers_are_streamed_through(served: Served, tokens: int) -> None:
    async with Client(f"http://127.0.0.1:{served.port}", served.secret) as client:
        answer = await client.send(chat_body(f"tokens={tokens}", max_tokens=tokens))
    assert answer.status == 200 and answer.error == ""
    assert json.loads(answer.body)["usage"]["completion_tokens"] == tokens


@pytest.mark.slow
async def test_a_revoked_stream_says_so(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    order = b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"[[fake: tokens=50 delay_ms=50]]"}]}'
    writer.write(make_request(served.secret, body=order))
    await reader.readuntil(b'"content":"tok')
    (run,) = served.gateway.plane.sweeper.runs
    assert run.exchange.policy is not None
    served.gateway.plane.sweeper.end_key(frozenset({run.exchange.policy.key.id}))
    rest = await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 5)
    assert b'"code":"key_revoked"' in rest and b"[DONE]" not in rest
    writer.close()


@pytest.mark.slow
async def test_a_revoked_document_breaks(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=4096)
    order = b'{"model":"chat","max_tokens":2000000,"messages":[{"role":"user","content":"[[fake: tokens=2000000]]"}]}'
    writer.write(make_request(served.secret, body=order))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
    served.gateway.plane.sweeper.end_all()
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(1 << 20), 5):
            received += part
    assert len(received) < length and b"overloaded" not in received
    writer.close()
