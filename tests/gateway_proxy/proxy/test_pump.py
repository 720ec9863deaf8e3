"""The copy of a stream: every chunk at once, and none while the client does not read."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway_proxy.core.tasks import drain
from gateway_proxy.proxy.pump import Pump
from gateway_proxy.proxy.upstream import UpstreamError
from tests.support.exchanges import make_exchange


class Upstream:
    def __init__(self) -> None:
        self.paused = 0

    def stream_to(self, receive: Any, end: Any) -> None:
        self.receive, self.end = receive, end

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self) -> None:
        self.paused -= 1


class Client:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_paused = False
        self.writable = asyncio.Event()
        self.gone = False

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def wait_until_writable(self) -> None:
        await self.writable.wait()
        if self.gone:
            raise ConnectionResetError


async def start(tap: Any = None) -> tuple[Upstream, Client, Any, asyncio.Task[Any]]:
    upstream, client = Upstream(), Client()
    run = SimpleNamespace(exchange=make_exchange(), gone_at=0.0, last_write_at=0.0)
    tap = tap or SimpleNamespace(feed=lambda chunk: chunk)
    copying = asyncio.get_running_loop().create_task(Pump(run, upstream, tap, client).copy())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    return upstream, client, run, copying


async def test_chunks_pass_at_once() -> None:
    upstream, client, run, copying = await start()
    upstream.receive(b"a")
    assert client.sent == [b"a"] and run.exchange.first_byte_ns and run.last_write_at
    run.gone_at = 1.0
    upstream.receive(b"b")
    assert client.sent == [b"a"]  # still read, for the bill, but sent to nobody
    upstream.end(None)
    assert await copying is None


async def test_a_broken_answer_is_told() -> None:
    upstream, _, _, copying = await start()
    error = UpstreamError("cut")
    upstream.end(error)
    assert await copying is error


@pytest.mark.parametrize("gone", [False, True])
async def test_a_slow_reader_pauses_the_upstream(gone: bool) -> None:
    upstream, client, _, copying = await start()
    client.is_paused = True
    upstream.receive(b"a")
    upstream.receive(b"b")
    assert upstream.paused == 1
    client.is_paused, client.gone = False, gone
    client.writable.set()
    await drain(1)
    assert upstream.paused == 0
    upstream.end(None)
    await copying


async def test_a_fault_of_the_tap_ends_the_copy() -> None:
    def feed(chunk: bytes) -> bytes:
        raise ValueError("a bug")

    upstream, _, _, copying = await start(SimpleNamespace(feed=feed))
    upstream.receive(b"a")
    with pytest.raises(ValueError, match="a bug"):
        await copying
