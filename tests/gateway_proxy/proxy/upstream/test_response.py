"""What a reader of an answer sees, with a fake connection behind it."""

from __future__ import annotations

import asyncio

import pytest

from gateway_proxy.proxy.upstream import UpstreamBroken, UpstreamResponse, UpstreamTimeout
from gateway_proxy.proxy.upstream.response import HIGH_WATER_BYTES


class FakeSource:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def abort(self) -> None:
        self.calls.append("abort")


def make() -> tuple[UpstreamResponse, FakeSource]:
    source = FakeSource()
    headers = [(b"x-a", b"1"), (b"x-a", b"2")]
    return UpstreamResponse(source, 200, b"OK", headers), source


def test_the_first_of_equal_headers_is_found() -> None:
    response, _ = make()
    assert (response.header(b"x-a"), response.header(b"x-b")) == (b"1", None)


def test_take_joins_what_has_come() -> None:
    response, _ = make()
    assert response.take() is None
    response.receive(b"one")
    response.receive(b"two")
    assert (response.take(), response.take(), response.at_eof) == (b"onetwo", None, False)
    response.finish(None, b"end")
    assert not response.at_eof
    assert (response.take(), response.take(), response.at_eof) == (b"end", b"", True)


def test_an_error_comes_after_the_bytes_before_it_and_again() -> None:
    response, _ = make()
    response.receive(b"one")
    response.finish(UpstreamTimeout("between_bytes", 1))
    assert response.take() == b"one"
    for _ in range(2):
        with pytest.raises(UpstreamTimeout):
            response.take()


def test_reading_pauses_above_the_mark_and_resumes_when_taken() -> None:
    response, source = make()
    response.receive(bytes(HIGH_WATER_BYTES))
    assert source.calls == []
    response.receive(b"x")
    response.receive(b"y")
    assert source.calls == ["pause"]
    response.take()
    assert source.calls == ["pause", "resume"]


def test_a_finished_answer_never_touches_the_connection_again() -> None:
    response, source = make()
    response.finish(None, bytes(HIGH_WATER_BYTES + 1))
    response.take()
    response.pause_reading()
    response.resume_reading()
    response.close()
    assert source.calls == []


def test_closing_aborts_once_and_keeps_nothing() -> None:
    response, source = make()
    response.receive(b"one")
    response.close()
    response.close()
    assert source.calls == ["abort"]
    with pytest.raises(UpstreamBroken, match="closed before its end"):
        response.take()


def test_pushing_an_answer_that_is_here_already() -> None:
    response, _ = make()
    response.finish(None, b"hello")
    events: list[object] = []
    response.stream_to(events.append, events.append)
    assert events == [b"hello", None]


def test_pushing_passes_on_bytes_then_the_end_once() -> None:
    response, _ = make()
    response.receive(b"early")
    events: list[object] = []
    response.stream_to(events.append, events.append)
    response.receive(b"one")
    response.finish(None, b"last")
    response.finish(None)
    assert events == [b"early", b"one", b"last", None]


def test_a_push_receiver_that_closes_hears_nothing_more() -> None:
    response, source = make()
    events: list[object] = []

    def take_one(data: bytes) -> None:
        events.append(data)
        response.close()

    response.stream_to(take_one, events.append)
    response.receive(b"one")
    response.finish(None, b"two")
    assert (events, source.calls) == ([b"one"], ["abort"])


def test_a_push_receiver_that_closes_on_the_last_bytes_hears_no_end() -> None:
    response, _ = make()
    ends: list[object] = []
    response.stream_to(lambda _: response.close(), ends.append)
    response.finish(None, b"last")
    assert ends == []


async def test_a_waiting_reader_is_woken_by_bytes_end_and_error() -> None:
    for wake, expected in (
        (lambda r: r.receive(b"x"), b"x"),
        (lambda r: r.finish(None), b""),
    ):
        response, _ = make()
        asyncio.get_running_loop().call_soon(wake, response)
        assert await response.read() == expected
    response, _ = make()
    asyncio.get_running_loop().call_soon(response.close)
    with pytest.raises(UpstreamBroken):
        await response.read()


async def test_a_cancelled_read_closes() -> None:
    response, source = make()
    task = asyncio.create_task(response.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task"):
        await response.read()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.calls == ["abort"]


async def test_read_all_stops_at_the_limit() -> None:
    response, source = make()
    response.receive(b"hello")
    with pytest.raises(UpstreamBroken, match="larger than 4"):
        await response.read_all(4)
    assert source.calls == ["abort"]
