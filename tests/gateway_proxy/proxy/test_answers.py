"""Answers on the wire: whole, streamed, cut, and unable to carry a line of anybody else's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from gateway_proxy.proxy import answers
from gateway_proxy.proxy.answers import Answer, StreamAnswer, header_line

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server with this handler."""
    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        await runner.cleanup()


def get(method: str = "GET", version: str = "1.1", more: str = "") -> bytes:
    return f"{method} / HTTP/{version}\r\nHost: a\r\n{more}\r\n".encode()


async def test_whole_answers_keep_the_connection() -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return Answer(404, "x-a: b\r\nx-a: c\r\n", b"body")

    async with served(handle) as (reader, writer):
        for _ in range(2):
            writer.write(get())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(
                b"HTTP/1.1 404 Not Found\r\nx-a: b\r\nx-a: c\r\ncontent-length: 4\r\ndate: "
            )
            assert await reader.readexactly(4) == b"body"
        writer.write(get("HEAD"))
        assert b"content-length: 4" in await reader.readuntil(b"\r\n\r\n")
        writer.write(get(version="1.0"))
        rest = await reader.read()
        assert rest.startswith(b"HTTP/1.0 404 ") and b"connection: close" in rest and rest.endswith(b"body")


async def test_streams_are_chunked_or_end_with_the_connection() -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        answer = StreamAnswer(200, "")
        await answer.prepare(request)
        answer.send(b"one")
        answer.send(b"")
        answer.send(b"three")
        return answer

    async with served(handle) as (reader, writer):
        writer.write(get())
        assert b"transfer-encoding: chunked" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"
        writer.write(get(version="1.0"))
        assert (await reader.read()).endswith(b"\r\n\r\nonethree")


async def test_an_aborted_stream_has_no_end() -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        answer = StreamAnswer(200, "", 100)
        await answer.prepare(request)
        answer.send(b"half")
        await asyncio.sleep(0.01)
        answer.abort()
        return answer

    async with served(handle) as (reader, writer):
        writer.write(get())
        assert b"content-length: 100" in await reader.readuntil(b"\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(100)


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b"])
async def test_no_header_brings_a_line_of_its_own(value: str) -> None:
    failures: list[str] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await Answer(200, header_line("x-a", value), b"").prepare(request)
        except ValueError as error:
            failures.append(str(error))
        return Answer(500, "", b"")

    async with served(handle) as (reader, writer):
        writer.write(get())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 500 ")
    assert failures == ["a response header contains a control character"]


async def test_who_does_not_read_gets_no_further_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "STALL_SECONDS", 0.1)
    served_requests = 0

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal served_requests
        served_requests += 1
        return Answer(200, "", b"a" * 2_000_000)

    async with served(handle) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(get() * 100)
        await asyncio.sleep(0.5)
        assert 0 < served_requests < 10
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 2)  # cut off: the end comes although 90 answers are missing
