"""The framing rules, one byte string at a time, without a socket."""

from __future__ import annotations

import pytest

from gateway_proxy.proxy.upstream.reader import (
    MAX_INTERIM_ANSWERS,
    MAX_OVERHEAD_BYTES,
    BadFraming,
    ResponseReader,
)

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: x\r\n\r\n"
)
PLAIN_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhello"


def read(*segments: bytes, skip_body: bool = False) -> tuple[ResponseReader, bytes]:
    reader = ResponseReader(65_536)
    reader.begin(skip_body=skip_body)
    body = b""
    for segment in segments:
        reader.feed(segment)
        body += b"".join(reader.body)
        reader.body.clear()
    return reader, body


def test_a_counted_body() -> None:
    reader, body = read(LENGTH)
    assert (reader.status, reader.reason, reader.http_version) == (200, b"OK", b"1.1")
    assert reader.headers == [(b"content-length", b"5"), (b"x-a", b"b")]
    assert (body, reader.complete, reader.reusable) == (b"hello", True, True)


@pytest.mark.parametrize(("answer", "text"), [(CHUNKED, b"hello world"), (PLAIN_CHUNKED, b"hello")])
def test_chunks_extensions_and_trailers(answer: bytes, text: bytes) -> None:
    reader, body = read(answer)
    assert (body, reader.complete, reader.reusable) == (text, True, True)
    assert reader.headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, UNTIL_CLOSE])
def test_every_two_way_split_reads_the_same(answer: bytes) -> None:
    whole, text = read(answer)
    for cut in range(1, len(answer)):
        reader, body = read(answer[:cut], answer[cut:])
        assert (body, reader.complete, reader.headers) == (text, whole.complete, whole.headers), cut
        assert reader.ends_at_eof() == whole.ends_at_eof()


def test_byte_by_byte() -> None:
    reader, body = read(*(bytes([byte]) for byte in CHUNKED))
    assert (body, reader.complete, reader.http_version, reader.reason) == (
        b"hello world",
        True,
        b"1.1",
        b"OK",
    )


@pytest.mark.parametrize("answer", [LENGTH, PLAIN_CHUNKED])
def test_no_cut_looks_complete(answer: bytes) -> None:
    for cut in range(len(answer)):
        reader, _ = read(answer[:cut]) if cut else read()
        assert not reader.complete
        assert not reader.ends_at_eof(), cut


def test_a_body_until_close_ends_only_there() -> None:
    reader, body = read(UNTIL_CLOSE)
    assert (body, reader.complete, reader.ends_at_eof()) == (b"hello", False, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        LENGTH + b"\r\n",
        LENGTH + LENGTH,
        LENGTH + b"x",
        PLAIN_CHUNKED + b"\r\n",
        PLAIN_CHUNKED + LENGTH,
        b"HTTP/1.1 204 No Content\r\n\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
    ],
)
def test_complete_but_not_to_be_reused(answer: bytes) -> None:
    reader, _ = read(answer)
    assert reader.complete
    assert not reader.reusable


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK\r\ncontent-length: 0"])
def test_answers_without_a_body(status: bytes) -> None:
    reader, body = read(b"HTTP/1.1 " + status + b"\r\nx-a: b\r\n\r\n")
    assert (body, reader.complete, reader.reusable) == (b"", True, True)


def test_the_answer_to_head_has_no_body_and_is_not_reused() -> None:
    reader, body = read(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", skip_body=True)
    assert (body, reader.complete, reader.reusable) == (b"", True, False)


def test_interim_answers_are_skipped() -> None:
    reader, body = read(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + LENGTH)
    assert (reader.status, reader.reason, body, reader.complete) == (200, b"OK", b"hello", True)
    assert (b"link", b"x") not in reader.headers


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP/1"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "not HTTP/1"),
        (b"RTSP/1.0 200 OK\r\n\r\n", "not HTTP/1"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "not HTTP/1"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "impossible status"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "switched protocols"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "switched protocols"),
        (b"HTTP/1.1 150 Odd\r\ncontent-length: 5\r\n\r\nhello", "interim answer with a body"),
        (b"HTTP/1.1 100 Go\r\n\r\n" * (MAX_INTERIM_ANSWERS + 1), "too many interim"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhello", "invalid HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "invalid HTTP",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
            "invalid HTTP",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello", "transfer coding"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            "transfer coding",
        ),
        (b"HTTP/1.1 200 OK\nx: y\n\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: y\r\n folded\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloworld", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 5\r\n\r\nhello", "head larger"),
        (b"HTTP/1.1 200 " + b"y" * 70_000, "head larger"),
    ],
    ids=lambda value: (
        value[9:40].decode("latin-1").encode("unicode_escape").decode() if isinstance(value, bytes) else ""
    ),
)
def test_what_is_refused(answer: bytes, reason: str) -> None:
    with pytest.raises(BadFraming, match=reason):
        read(answer)


def test_an_endless_head_is_refused_by_the_limit() -> None:
    reader = ResponseReader(1000)
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    fillers: list[bytes] = []
    with pytest.raises(BadFraming, match="larger than 1000"):
        for _ in range(30):
            fillers.append(b"x-filler: " + b"y" * 50 + b"\r\n")
            reader.feed(fillers[-1])
    assert len(fillers) < 17


def test_a_small_head_with_much_body_in_one_segment_is_fine() -> None:
    body = b"z" * 200_000
    reader, got = read(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + body)
    assert got == body
    assert reader.complete


@pytest.mark.parametrize("flood", [b"1;" + b"x" * 4000, b"5\r\nhello\r\n0\r\nt: x" + b"x" * 4000])
def test_endless_extensions_and_trailers_are_bounded(flood: bytes) -> None:
    reader, _ = read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", flood)
    with pytest.raises(BadFraming, match="endless chunk extension or trailer"):
        for _ in range(MAX_OVERHEAD_BYTES // 4000 + 20):
            reader.feed(b"x" * 4000)


def test_a_long_stream_of_tiny_chunks_is_not_a_flood() -> None:
    reader, body = read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *[b"1\r\na\r\n"] * 40_000)
    assert len(body) == 40_000
    assert not reader.complete
