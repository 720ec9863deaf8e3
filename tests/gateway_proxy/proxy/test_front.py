"""Our own front: plain requests one after the other, everything else to the strict edge, deadlines for all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway_proxy.proxy import front
from gateway_proxy.proxy.answers import Answer, BaseAnswer
from gateway_proxy.proxy.front import FrontConnection, Fronts
from gateway_proxy.proxy.request import ClientRequest

HEAD = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"


class TakenOver(asyncio.Protocol):
    """Where the strict edge would stand."""

    def __init__(self, data: bytes) -> None:
        self.data = data


class Bench:
    """A listening front; `handle` is asked for each answer."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.taken: list[bytes] = []
        self.seconds: list[float] = []
        self.reads_body = True
        self.answer_bytes = 2

    async def dispatch(self, request: ClientRequest) -> BaseAnswer:
        if "X-Break" in request.headers:
            raise KeyError("inner words")
        if self.reads_body:
            parts = []
            while part := await request.content.readany():
                parts.append(part)
            self.bodies.append(b"".join(parts))
        return Answer(200, "", b"o" * self.answer_bytes)

    def take_over(self, transport: asyncio.Transport, data: bytes, seconds: float) -> asyncio.Protocol:
        protocol = TakenOver(data)
        transport.set_protocol(protocol)
        self.taken.append(data)
        self.seconds.append(seconds)
        transport.close()
        return protocol

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        loop = asyncio.get_running_loop()
        self.fronts = Fronts(
            self.dispatch,
            lambda status: Answer(status, "", b""),
            lambda path: path.startswith("/v1/"),
            self.take_over,
        )
        server = await loop.create_server(lambda: FrontConnection(self.fronts, loop), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2], limit=1 << 16)
        try:
            yield reader, writer
        finally:
            writer.close()
            await self.fronts.shut_down(1)
            server.close()
            await asyncio.sleep(0)


async def read_answer(reader: asyncio.StreamReader) -> int:
    """The status; the body is read away."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head.split()[1])


async def test_requests_are_served_in_order_however_they_are_cut() -> None:
    bench = Bench()
    data = b"".join(HEAD % len(body) + body for body in (b"one", b"", b"three")) + GET
    async with bench.connect() as (reader, writer):
        for byte in data:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert [await read_answer(reader) for _ in range(4)] == [200] * 4
        writer.write(data)
        assert [await read_answer(reader) for _ in range(4)] == [200] * 4
    assert bench.bodies == [b"one", b"", b"three", b""] * 2 and not bench.taken


@pytest.mark.slow
async def test_five_thousand_in_one_write() -> None:
    bench = Bench()
    async with bench.connect() as (reader, writer):
        writer.write(GET * 5000)
        for _ in range(5000):
            assert await read_answer(reader) == 200


@pytest.mark.slow
async def test_a_flood_in_the_pipeline_is_not_read_ahead_of_its_handling() -> None:
    kept: list[int] = []

    class Watched(Bench):
        async def dispatch(self, request: ClientRequest) -> BaseAnswer:
            kept.extend(len(connection._buffer) for connection in self.fronts.connections)
            return Answer(200, "", b"")

    bench = Watched()
    async with bench.connect() as (reader, writer):
        for _ in range(8):
            writer.write(GET * 5000)
        for _ in range(2000):
            assert await read_answer(reader) == 200
    assert len(kept) >= 2000
    assert max(kept) <= 65_536 + 262_144  # the limit, and the one read that went beyond it


@pytest.mark.parametrize(
    "odd",
    [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /v1/../x HTTP/1.1\r\nHost: a\r\n\r\n", b"get /v1/x HTTP/1.1\r\n", b"\x16\x03\x01", b"GET /v1/x\n",
     b"POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"GET /v1/x HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000],
)  # fmt: skip
async def test_what_is_not_plain_is_handed_over_whole(odd: bytes) -> None:
    bench = Bench()
    async with bench.connect() as (reader, writer):
        writer.write(GET + odd)
        assert await read_answer(reader) == 200
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert not bench.fronts.connections
    assert b"".join(bench.taken) == odd and bench.bodies == [b""]
    assert 0 < bench.seconds[0] <= front.HEAD_SECONDS


async def test_bodies_that_nobody_reads() -> None:
    bench = Bench()
    bench.reads_body = False
    async with bench.connect() as (reader, writer):
        writer.write(HEAD % 5 + b"ab")
        assert await read_answer(reader) == 200
        writer.write(b"cde" + GET)  # the rest is not taken for a request
        assert await read_answer(reader) == 200
        writer.write(HEAD % 10_000_000)
        assert await read_answer(reader) == 200
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_fault_is_answered_and_the_connection_ends(caplog: pytest.LogCaptureFixture) -> None:
    async with Bench().connect() as (reader, writer):
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nX-Break: 1\r\n\r\n") + GET)
        assert await read_answer(reader) == 500
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert "unhandled error" in caplog.text


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS", "KEEP_ALIVE_SECONDS", "LINGER_SECONDS", "CLOSING_SECONDS"):
        monkeypatch.setattr(front, name, 0.1)
    monkeypatch.setattr(front, "SWEEP_SECONDS", 0.01)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("beginning", "answer"), [(b"", b""), (b"GET /v1", front.HEAD_TIMEOUT)])
async def test_heads_have_a_deadline(beginning: bytes, answer: bytes) -> None:
    async with Bench().connect() as (reader, writer):
        writer.write(beginning)
        assert await asyncio.wait_for(reader.read(), 5) == answer
    async with Bench().connect() as (reader, writer):
        writer.write(GET + beginning)
        await read_answer(reader)
        assert await asyncio.wait_for(reader.read(), 5) == answer


@pytest.mark.usefixtures("hasty")
async def test_who_does_not_take_the_answer_is_cut() -> None:
    bench = Bench()
    bench.answer_bytes = 8_000_000
    async with bench.connect() as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await asyncio.sleep(0.05)
        (connection,) = bench.fronts.connections
        assert connection.transport is not None
        connection.close()
        async with asyncio.timeout(5):
            while bench.fronts.connections:
                await asyncio.sleep(0.01)


async def test_shut_down_waits_for_what_runs() -> None:
    bench = Bench()
    async with bench.connect() as (reader, writer):
        writer.write(HEAD % 5 + b"ab")
        await asyncio.sleep(0.05)
        bench.fronts.close_idle()
        writer.write(b"cde" + GET)
        assert await read_answer(reader) == 200
        assert await asyncio.wait_for(reader.read(), 5) == b""  # and serves no further one
    assert bench.bodies == [b"abcde"]
