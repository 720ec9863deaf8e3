"""One exchange on a real socket: framing, deadlines, back-pressure, and when a connection is used again."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway_proxy.proxy.upstream import UpstreamBroken, UpstreamTimeout
from gateway_proxy.proxy.upstream.pool import READ_BYTES
from gateway_proxy.proxy.upstream.response import HIGH_WATER_BYTES
from tests.gateway_proxy.proxy.upstream.scripted import (
    HEAD,
    OK,
    SHORT,
    Peer,
    answering,
    exchange,
    pool_to,
    serving,
)
from tests.support.waiting import until

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_request_arrives_as_written_and_the_answer_comes_back() -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request() + peer.body)
        await peer.write(OK)
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        assert (response.status, response.reason, response.header(b"content-length")) == (200, b"OK", b"5")
        assert (response.take(), response.take(), response.at_eof) == (b"hello", b"", True)
        assert await response.read() == b""
        assert seen == [HEAD + b"{}"]
        assert pool.stats()[:3] == (1, 1, 0)


async def test_body_pieces_leave_in_order() -> None:
    pieces = [b"a" * 100_000, b"b" * 100_000]
    bodies: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            bodies.append(peer.body)
            await peer.write(OK)

    head = b"POST / HTTP/1.1\r\ncontent-length: 200000\r\n\r\n"
    async with serving(script) as server, pool_to(server.origin) as pool:
        await (await pool.send(head, pieces)).read_all(10)
        await (await pool.send(head, b"".join(pieces))).read_all(10)
        assert bodies == [b"".join(pieces)] * 2


async def test_chunks_are_handed_out_as_they_come() -> None:
    taken = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(CHUNKED + b"3\r\none\r\n")
        await taken.wait()
        await peer.write(b"3\r\ntwo\r\n2\r\n++\r\n")
        await peer.request()

    async with serving(script) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        assert await response.read() == b"one"
        assert response.take() is None
        taken.set()
        assert await response.read() == b"two++"
        response.close()


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
    ],
    ids=["counted", "chunked", "interim", "closing"],
)
async def test_an_answer_cut_anywhere_is_never_presented_as_complete(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        head = await peer.request()
        await peer.write(answer[: int(head.split(b" ")[1])])

    async with serving(script) as server, pool_to(server.origin) as pool:
        for cut in range(len(answer)):
            with pytest.raises(UpstreamBroken) as caught:
                response = await pool.send(b"GET %d HTTP/1.1\r\n\r\n" % cut)
                await response.read_all(100)
            assert caught.value.request_sent
        response = await pool.send(b"GET %d HTTP/1.1\r\n\r\n" % len(answer))
        assert await response.read_all(100) == b"hello"
        await until(lambda: pool.stats().open == 0)


async def test_what_came_before_a_break_is_handed_out_first() -> None:
    async with (
        serving(answering(CHUNKED + b"3\r\none\r\n3\r\ntwo\r\nBROKEN")) as server,
        pool_to(server.origin) as pool,
    ):
        with pytest.raises(UpstreamBroken):
            await pool.send(HEAD, b"{}")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(CHUNKED + b"3\r\none\r\n")
        await asyncio.sleep(0.02)
        await peer.write(b"3\r\ntwo\r\nBROKEN")

    async with serving(script) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        got = await response.read() + await response.read()
        assert got == b"onetwo"
        with pytest.raises(UpstreamBroken, match="invalid HTTP"):
            await response.read()
        assert not response.at_eof


async def test_a_body_until_close_is_complete_at_close_only() -> None:
    async with (
        serving(answering(b"HTTP/1.0 200 OK\r\n\r\nhello")) as server,
        pool_to(server.origin) as pool,
    ):
        assert await exchange(pool) == (200, b"hello")
        assert pool.stats().open == 0


async def test_a_reset_is_not_an_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await asyncio.sleep(0.02)
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: close with RST
        peer.writer.transport.abort()

    async with serving(script) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        assert await response.read() == b"hello"
        with pytest.raises(UpstreamBroken):
            await response.read()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", "switched"),
        (b"HTTP/1.1 200 OK\r\nx-a: " + b"y" * 100_000, "head larger"),
        (b"220 mail.example ESMTP\r\n", "not HTTP/1"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "interim"),
    ],
    ids=["upgrade", "endless head", "mail", "interim flood"],
)
async def test_answers_that_are_refused(answer: bytes, message: str) -> None:
    async with serving(answering(answer, hang=True)) as server, pool_to(server.origin) as pool:
        with pytest.raises(UpstreamBroken, match=message):
            await pool.send(HEAD, b"{}")
        assert pool.stats().open == 0


@pytest.mark.parametrize("then", ["hangs", "resets"])
async def test_an_early_answer_ends_the_upload(then: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        if then == "hangs":
            await asyncio.sleep(5)

    async with serving(script) as server, pool_to(server.origin) as pool:
        head = b"POST / HTTP/1.1\r\ncontent-length: 32000000\r\n\r\n"
        response = await pool.send(head, bytes(32_000_000))
        assert (response.status, await response.read_all(10)) == (413, b"big")
        assert pool.stats().open == 0


async def test_silence_before_the_head() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin, SHORT) as pool:
        begun = time.monotonic()
        with pytest.raises(UpstreamTimeout) as caught:
            await pool.send(HEAD, b"{}")
        assert 0.15 < time.monotonic() - begun < 1.2
        assert (caught.value.phase, caught.value.request_sent) == ("first_byte", True)
        assert pool.stats().open == 0


async def test_a_dripping_head_does_not_move_its_deadline() -> None:
    async def drip(peer: Peer) -> None:
        await peer.request()
        for (
            byte
        ) in b"HTTP/1.1 200 OK\r\nx-drip: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy":
            await peer.write(bytes([byte]))
            await asyncio.sleep(0.03)

    async with serving(drip) as server, pool_to(server.origin, SHORT) as pool:
        with pytest.raises(UpstreamTimeout) as caught:
            await pool.send(HEAD, b"{}")
        assert caught.value.phase == "first_byte"


async def test_silence_within_the_body() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(CHUNKED)
        for _ in range(10):  # 0.5 s of drip: longer than the limit, but never silent for it
            await peer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.05)
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin, SHORT) as pool:
        response = await pool.send(HEAD, b"{}")
        got = b""
        with pytest.raises(UpstreamTimeout) as caught:
            while True:
                got += await response.read()
        assert (got, caught.value.phase) == (b"x" * 10, "between_bytes")


async def test_an_unread_body_is_bounded_and_its_deadline_rests() -> None:
    sent = 0
    total = 20_000_000

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while sent < total:
            await peer.write(bytes(100_000))
            sent += 100_000
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin, SHORT) as pool:
        response = await pool.send(HEAD, b"{}")
        await asyncio.sleep(0.9)  # several limits long: we are the slow side, nobody times out
        assert sent < total
        assert response._buffered_bytes <= HIGH_WATER_BYTES + READ_BYTES
        assert len(await response.read_all(total)) == total
        assert pool.stats().idle == 1


async def test_pushing_delivers_everything_then_the_end() -> None:
    got: list[bytes] = []
    done = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(CHUNKED + b"3\r\none\r\n")
        await asyncio.sleep(0.02)
        await peer.write(b"3\r\ntwo\r\n")
        await asyncio.sleep(0.02)
        await peer.write(b"3\r\nend\r\n0\r\n\r\n")
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        response.stream_to(got.append, done.set_result)
        assert await done is None
        assert got == [b"one", b"two", b"end"]
        assert pool.stats().idle == 1


async def test_pushing_reports_a_break() -> None:
    done = asyncio.get_running_loop().create_future()
    async with serving(answering(CHUNKED + b"3\r\none\r\n")) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        got: list[bytes] = []
        response.stream_to(got.append, done.set_result)
        assert isinstance(await done, UpstreamBroken)
        assert got == [b"one"]


async def test_closing_an_unfinished_answer_closes_the_socket_at_once() -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(CHUNKED + b"3\r\none\r\n")
        await peer.closed()
        gone.set()

    async with serving(script) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        response.close()
        response.close()
        assert pool.stats().open == 0
        await asyncio.wait_for(gone.wait(), 0.1)
        with pytest.raises(UpstreamBroken):
            await response.read()


async def test_closing_a_finished_answer_keeps_the_connection() -> None:
    async with serving(answering(OK, OK, hang=True)) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        response.close()
        assert await exchange(pool) == (200, b"hello")
        assert server.connections == 1


async def test_an_answer_over_the_callers_limit_is_closed() -> None:
    async with serving(answering(OK, hang=True)) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        with pytest.raises(UpstreamBroken, match="larger than 4"):
            await response.read_all(4)


@pytest.mark.parametrize(
    "extra", [b"x", OK, b"\r\n", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"]
)
@pytest.mark.parametrize("late", [False, True], ids=["same write", "later"])
async def test_bytes_after_the_end_cost_the_connection(extra: bytes, late: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK if late else OK + extra)
        if late:
            await asyncio.sleep(0.02)
            await peer.write(extra)
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin) as pool:
        assert await exchange(pool) == (200, b"hello")
        await until(lambda: pool.stats().open == 0)
        assert await exchange(pool) == (200, b"hello")
        assert server.connections == 2
