"""Streams: each chunk leaves when it came, bytes as they were, comments in the silence, and no false end."""

import asyncio
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_proxy.proxy import sweeper
from tests.support.client import Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.in_process import Served, serve
from tests.support.money import model_toml
from tests.support.raw import make_request, send

ORDER = '{"model":"%s","stream":true%s,"messages":[{"role":"user","content":"[[fake: %s]]"}]}'
ASKED = ',"stream_options":{"include_usage":true}'


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(provider_toml(provider.base_url) + model_toml(), server="drain_seconds = 1")


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("streams")


def normalise(body: bytes) -> bytes:
    """Without what differs between two answers: ids and times."""
    return re.sub(rb'"(id|created|system_fingerprint)":("[^"]*"|\d+)', b'"x":0', body)


@pytest.mark.parametrize("mode", ["honest", "split bytes=1 flush_ms=0", "split bytes=7 flush_ms=0", "crlf"])
def test_bytes_are_the_providers(
    mode: str, gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    orders = f"mode={mode} tokens=4"
    through = send(gateway.port, make_request(key.secret, body=(ORDER % ("chat", ASKED, orders)).encode()))
    direct = send(provider.port, make_request("fake-key", body=(ORDER % ("m-chat", ASKED, orders)).encode()))
    assert through.status == direct.status == 200
    assert normalise(through.body) == normalise(direct.body)
    assert b'"usage":{' in through.body


@pytest.mark.parametrize("mode", ["honest", "split bytes=1 flush_ms=0", "crlf"])
def test_only_the_extra_event_is_missing(
    mode: str, gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    orders = f"mode={mode} tokens=4"
    through = send(gateway.port, make_request(key.secret, body=(ORDER % ("chat", "", orders)).encode()))
    direct = send(provider.port, make_request("fake-key", body=(ORDER % ("m-chat", ASKED, orders)).encode()))
    end = b"\r\n\r\n" if mode == "crlf" else b"\n\n"
    kept = [event for event in normalise(direct.body).split(end) if b'"choices":[]' not in event]
    assert normalise(through.body).split(end) == kept


async def test_chunks_leave_when_they_come(gateway: RunningGateway, key: CreatedKey) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(make_request(key.secret, body=(ORDER % ("chat", "", "tokens=6 delay_ms=100")).encode()))
    times = []
    while b"[DONE]" not in (line := await asyncio.wait_for(reader.readline(), 5)):
        if b'"content":"tok' in line:
            times.append(time.monotonic())
    writer.close()
    assert len(times) == 6
    # Sent over half a second. A stall of the machine lets two arrive together, but only a buffer brings all at the end.
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert times[-1] - times[0] > 0.3 and sum(gap > 0.04 for gap in gaps) >= 3


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become tenths."""
    assert (sweeper.EARLY_HEAD_SECONDS, sweeper.KEEP_ALIVE_SECONDS) == (10, 15)
    monkeypatch.setattr(sweeper, "EARLY_HEAD_SECONDS", 0.3)
    monkeypatch.setattr(sweeper, "KEEP_ALIVE_SECONDS", 0.25)


def tables(provider: FakeProvider) -> str:
    return provider_toml(provider.base_url, timeouts="first_byte = 1.5, between_bytes = 1.2") + model_toml()


async def ask(served: Served, directive: str) -> tuple[float, bytes]:
    """(seconds until the head, the whole answer)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    began = time.monotonic()
    line = b"POST /v1/chat/completions HTTP/1.0"
    writer.write(make_request(served.secret, line=line, body=(ORDER % ("chat", "", directive)).encode()))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    head_seconds = time.monotonic() - began
    answer = head + await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return head_seconds, answer


@pytest.mark.usefixtures("hasty")
async def test_comments_bridge_the_silence(tmp_path: Path, provider: FakeProvider) -> None:
    async with serve(tmp_path, tables(provider)) as served:
        before_head, in_body, hasty_error = await asyncio.gather(
            ask(served, "mode=silent seconds=1 tokens=3"),
            ask(served, "mode=silent phase=body seconds=0.9 tokens=3"),
            ask(served, "mode=status status=429 head_delay_ms=100"),
        )
    seconds, answer = before_head
    assert 0.25 < seconds < 0.8  # the head went alone; the comments followed
    for _, text in (before_head, in_body):
        assert text.count(b": keep-alive\n\n") >= 2
        events = text.partition(b"\r\n\r\n")[2].split(b"\n\n")
        assert all(
            event.startswith((b"data: {", b": keep-alive", b"data: [DONE]")) for event in events if event
        )
        assert text.endswith(b"data: [DONE]\n\n") and text.count(b'"content":"tok') == 3
    assert answer.startswith(b"HTTP/1.0 200 ")
    assert hasty_error[1].startswith(b"HTTP/1.0 429 ")  # early errors keep their status


@pytest.mark.usefixtures("hasty")
async def test_late_failures_become_the_last_event(tmp_path: Path, provider: FakeProvider) -> None:
    async with serve(tmp_path, tables(provider)) as served:
        answers = await asyncio.gather(
            ask(served, "mode=status status=400 head_delay_ms=600"),
            ask(served, "mode=silent seconds=4"),
            ask(served, "mode=silent phase=body seconds=4"),
            ask(served, "mode=cut bytes=5 delay_ms=1"),
        )
    for (_, text), code in zip(
        answers,
        (b"upstream_error", b"upstream_timeout", b"upstream_timeout", b"upstream_broken"),
        strict=True,
    ):
        assert text.startswith(b"HTTP/1.0 200 ")
        last = text.rstrip(b"\n").rpartition(b"\n\n")[2]
        assert last.rpartition(b"\n")[2].startswith(b'data: {"error":{') and b'"code":"%b"' % code in last
        assert b"[DONE]" not in text


async def test_an_early_error_keeps_its_status(gateway: RunningGateway, key: CreatedKey) -> None:
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body("mode=status status=418", stream=True))
    assert answer.status == 418 and answer.headers["x-gateway-error-source"] == "upstream"
    assert "x-gateway-error" not in answer.headers
