"""A body of announced length: nothing beyond it, little of it in memory, and no end that did not come."""

import asyncio

import pytest

from gateway_proxy.proxy.plain_head import parse_plain_head
from gateway_proxy.proxy.request import BUFFER_BYTES, FrontBody, FrontRequest


class Source:
    transport, remote, writing_paused, paused = None, "192.0.2.1", False, False

    async def _drain_helper(self) -> None: ...

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


async def test_what_lies_beyond_is_given_back() -> None:
    body = FrontBody(Source(), 5)
    assert body.feed(b"abc") == b"" and not body.is_eof()
    assert body.feed(b"deGET /") == b"GET /" and body.is_eof()
    assert body.read_nowait() == b"abcde"
    assert await body.readany() == b""


async def test_a_reader_waits_and_the_socket_waits_for_it() -> None:
    source = Source()
    body = FrontBody(source, 10 * BUFFER_BYTES)
    body.feed(b"a" * (BUFFER_BYTES + 1))
    assert source.paused
    assert len(await body.readany()) == BUFFER_BYTES + 1
    reading = asyncio.get_running_loop().create_task(body.readany())
    await asyncio.sleep(0)
    assert not source.paused and not reading.done()
    body.feed(b"b")
    assert await reading == b"b"


async def test_a_lost_client_is_no_end() -> None:
    body = FrontBody(Source(), 5)
    body.feed(b"abc")
    reading = asyncio.get_running_loop().create_task(body.readany())
    assert await reading == b"abc"
    reading = asyncio.get_running_loop().create_task(body.readany())
    await asyncio.sleep(0)
    body.lose()
    with pytest.raises(ConnectionResetError):
        await reading
    whole = FrontBody(Source(), 1)
    whole.feed(b"a")
    whole.lose()
    assert await whole.readany() == b"a"  # all had come


def test_what_nobody_wants_is_counted_and_dropped() -> None:
    source = Source()
    body = FrontBody(source, 10 * BUFFER_BYTES)
    body.discard()
    assert body.feed(b"a" * 9 * BUFFER_BYTES) == b"" and body.missing == BUFFER_BYTES
    assert not source.paused and body.read_nowait() == b""


def test_one_answer_for_a_request() -> None:
    parsed = parse_plain_head(b"POST /v1?a HTTP/1.1\r\nHost: a\r\n")
    assert parsed is not None
    request = FrontRequest(Source(), parsed[0], 0)
    assert request.keep_alive and request.remote == "192.0.2.1"
    request.begin_answer()
    with pytest.raises(ConnectionResetError):
        request.begin_answer()
    big = FrontRequest(Source(), parsed[0], BUFFER_BYTES + 1)
    assert not big.keep_alive
