"""Heads known by their shape say what the parser said; whatever it might judge otherwise is left to it."""

from __future__ import annotations

import pytest

from gateway_proxy.proxy.headers import fill, find_note, pass_downward
from gateway_proxy.proxy.upstream.reader import ResponseReader
from gateway_proxy.proxy.upstream.response import UpstreamResponse
from gateway_proxy.proxy.upstream.shapes import MAX_LESSONS, MAX_SHAPES, Shapes


def answer(
    request_id: str = "req_1", body: bytes = b"hello", extra: str = "", status: str = "200 OK"
) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Request-Id: {request_id}\r\nServer: 100%\r\n{extra}\r\n"
    )
    return head.encode() + body


def teach(shapes: Shapes, data: bytes) -> list[tuple[bytes, bytes]]:
    reader = ResponseReader(65_536)
    reader.feed(data)
    assert reader.complete
    shapes.learn(data, reader.status, reader.reason, reader.headers)
    return reader.headers


def test_what_varies_is_read_and_the_rest_is_what_it_was() -> None:
    shapes = Shapes()
    teach(shapes, answer("req_1"))
    assert shapes.read(answer("req_2")) is None  # so far the id is a part of the shape
    teach(shapes, answer("req_2", b"other body"))
    found = shapes.read(answer("req_3", b"{}"))
    assert found is not None
    shape, values, body = found
    assert (shape.status, shape.reason, body) == (200, b"OK", b"{}")
    assert shape.headers(values) == teach(Shapes(), answer("req_3", b"{}"))
    response = UpstreamResponse(None, 200, b"OK", [], shape, values, body)
    assert (response.header(b"x-request-id"), response.take_whole(), response.at_eof) == (
        b"req_3",
        b"{}",
        True,
    )


def test_the_note_of_a_shape_passes_what_each_head_would() -> None:
    shapes = Shapes()
    limits = "x-ratelimit-limit-requests: 10\r\n"
    for number in range(2):
        teach(shapes, answer(f"req_{number}", extra=limits))
    found = shapes.read(answer("50%_of", extra=limits))
    assert found is not None
    shape, values, body = found
    response = UpstreamResponse(None, 200, b"OK", [], shape, values, body)
    for own in (True, False):
        note = find_note(response, own_rate_limits=own)
        assert note is not None and (note.is_event_stream, note.is_encoded) == (False, False)
        assert fill(note, values) == pass_downward(shape.headers(values), own_rate_limits=own)


@pytest.mark.parametrize(
    "data",
    [
        answer()[:-1],
        answer() + b"x",
        answer().replace(b"Content-Length: 5", b"Content-Length: +5"),
        answer().replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 5"),
        answer().replace(b"HTTP/1.1", b"HTTP/1.0"),
        answer().replace(b"\r\nServer", b"\nServer"),
        answer("req\x01"),
        answer("req\r\n folded"),
        answer("réq"),
        answer(status="500 Oops"),
        answer(extra="Connection: close\r\n"),
        b"",
    ],
)
def test_everything_else_is_the_parsers(data: bytes) -> None:
    shapes = Shapes()
    teach(shapes, answer("req_1"))
    teach(shapes, answer("req_2"))
    assert shapes.read(answer("req_3")) is not None
    assert shapes.read(data) is None


@pytest.mark.parametrize(
    "data",
    [
        answer(extra="Connection: keep-alive\r\n"),
        answer(extra="X-A%sB: 1\r\n"),
        answer(extra="X-Empty:\r\n"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_what_is_not_learned(data: bytes) -> None:
    shapes = Shapes()
    teach(shapes, data)
    assert shapes.read(data) is None


def test_lessons_end() -> None:
    shapes = Shapes()
    for number in range(MAX_LESSONS + 1):
        teach(shapes, answer(extra=f"X-{number}: 1\r\n"))
    assert shapes.read(answer(extra=f"X-{MAX_LESSONS}: 1\r\n")) is None
    assert shapes.read(answer(extra=f"X-{MAX_LESSONS - 1}: 1\r\n")) is not None
    assert shapes.read(answer(extra=f"X-{MAX_LESSONS - 1 - MAX_SHAPES}: 1\r\n")) is None
