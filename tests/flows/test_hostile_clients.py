"""Clients that are slow on purpose: they are cut in time, and nobody else feels them."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_proxy.proxy import answers, body, edge, front, sweeper
from tests.support.client import Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.in_process import serve
from tests.support.money import model_toml
from tests.support.raw import CHAT_BODY, connect, make_request

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(provider_toml(provider.base_url) + model_toml(), server="drain_seconds = 1")


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("hostile")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def read_to_end(port: int, data: bytes, *, drip: bytes = b"") -> tuple[bytes, float]:
    """Everything that comes until the server closes, and after how many seconds it did; `drip` sends more meanwhile."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(data)

    async def send_more() -> None:
        while drip:
            writer.write(drip)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(send_more())
    try:
        return await asyncio.wait_for(reader.read(), 5), time.monotonic() - began
    except ConnectionError:
        return b"", time.monotonic() - began
    finally:
        task.cancel()
        writer.close()


async def test_heads_and_bodies_have_deadlines(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (edge.HEAD_SECONDS, body.IDLE_SECONDS) == (10, 30)
    assert front.HEAD_SECONDS == 10
    for module in (edge, front):
        monkeypatch.setattr(module, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(front, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(body, "IDLE_SECONDS", 0.4)
    async with serve(tmp_path, provider_toml(provider.base_url) + model_toml()) as served:
        half_head = make_request(served.secret)[:40]
        half_body = make_request(served.secret, framing=b"Content-Length: 500\r\n")
        half_chunk = make_request(served.secret, framing=b"Transfer-Encoding: chunked\r\n", body=b"5\r\nab")
        idle, head, dripped, length, chunk = await asyncio.gather(
            read_to_end(served.port, b""),
            read_to_end(served.port, half_head),
            read_to_end(
                served.port, make_request(served.secret)[: -len(CHAT_BODY) - 2] + b"X-A: ", drip=b"a"
            ),
            read_to_end(served.port, half_body),
            read_to_end(served.port, half_chunk),
        )
        assert idle[0] == b""
        assert head[0].startswith(b"HTTP/1.1 408 ")
        for answer, _ in (length, chunk):
            assert answer.startswith(b"HTTP/1.1 408 ") and b"x-gateway-error: body_timeout" in answer
        for _, seconds in (idle, head, dripped, length, chunk):
            assert 0.3 < seconds < 2.5
        # A connection that has served a request gets the same time for its next head.
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(make_request(served.secret))
        await reader.readuntil(b'"usage"')
        await asyncio.sleep(0.5)  # idle between requests: kept
        writer.write(half_head)
        rest = await asyncio.wait_for(reader.read(), 3)
        assert b"HTTP/1.1 408 " in rest
        writer.close()


async def test_a_body_that_keeps_coming_is_not_cut(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (edge, front):
        monkeypatch.setattr(module, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(front, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(body, "IDLE_SECONDS", 0.3)
    async with serve(tmp_path, provider_toml(provider.base_url) + model_toml()) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(make_request(served.secret)[: -len(CHAT_BODY)])
        for start in range(0, len(CHAT_BODY), 8):
            await asyncio.sleep(0.08)
            writer.write(CHAT_BODY[start : start + 8])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_slowloris_does_not_disturb_a_healthy_client(gateway: RunningGateway, key: CreatedKey) -> None:
    half = make_request(key.secret)[:60]
    slow = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(200)]
    for number, (_, writer) in enumerate(slow):
        writer.write(half if number % 2 else b"")
    worst = 0.0
    async with Client(gateway.origin, key.secret) as client:
        for _ in range(30):
            for _, writer in slow[1::20]:
                writer.write(b"a")
            began = time.monotonic()
            assert (await client.send(chat_body())).status == 200
            worst = max(worst, time.monotonic() - began)
    assert worst < 1.0
    for _, writer in slow:
        writer.close()


async def test_a_slow_reader_slows_the_provider(
    gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    before = resident_bytes(gateway.pid)
    with connect(gateway.port) as connection:
        connection.setsockopt(1, 8, 4096)  # SO_RCVBUF
        order = b'{"model":"chat","stream":true,"max_tokens":10000000,"messages":[{"role":"user","content":"[[fake: tokens=1000000]]"}]}'
        connection.sendall(make_request(key.secret, body=order))
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        made = -1
        for _ in range(100):
            await asyncio.sleep(0.1)
            if (now := provider.stats()["active"]) and resident_bytes(gateway.pid) == made:
                break
            made = resident_bytes(gateway.pid)
        assert now == 1  # 150 MB are not through: the provider waits
        assert resident_bytes(gateway.pid) - before < 32 * MEBIBYTE
        async with Client(gateway.origin, key.secret) as client:
            assert (await client.send(chat_body())).status == 200
    provider.settled_ledger()  # the reader left, and so the provider stopped


async def test_answers_that_nobody_reads_do_not_pile_up(gateway: RunningGateway) -> None:
    before = resident_bytes(gateway.pid)
    flood = b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\n\r\n" * 1000
    with connect(gateway.port, timeout_seconds=0.7) as connection, pytest.raises(TimeoutError):
        connection.sendall(flood * 1000)  # 40 MB of requests, and far more of answers
    assert resident_bytes(gateway.pid) - before < 16 * MEBIBYTE
    assert gateway.fetch("/healthz")[0] == 200


async def test_who_reads_nothing_at_all_is_cut(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(sweeper, "STALL_SECONDS", 0.3)
    async with serve(tmp_path, provider_toml(provider.base_url) + model_toml()) as served:
        order = (
            b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"[[fake: tokens=400000]]"}]}'
        )
        for data in (
            b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\n\r\n" * 100_000,
            make_request(served.secret, body=order),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
            writer.write(data)
            await asyncio.sleep(0.2)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            async with asyncio.timeout(8):
                while served.server._runner.server.connections or served.gateway.plane.sweeper.runs:
                    await asyncio.sleep(0.05)
            writer.transport.abort()
            del reader
