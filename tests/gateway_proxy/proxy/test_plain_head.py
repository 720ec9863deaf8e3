"""The plain form: what it accepts means one thing to everybody; the rest is left to the strict edge."""

import pytest

from gateway_proxy.proxy.plain_head import MAX_HEAD_BYTES, MAX_HEADERS, may_become_plain, parse_plain_head

HOST = "Host: a\r\n"


def parse(line: str = "GET /v1/models HTTP/1.1", headers: str = HOST):  # type: ignore[no-untyped-def]
    return parse_plain_head(f"{line}\r\n{headers}".encode("latin-1"))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models/", "/v1/models/"),
        ("/v1/models/gpt-4.1@x:y", "/v1/models/gpt-4.1@x:y"),
        ("/v1/a?b=%2e%2e/../;\\", "/v1/a"),
    ],
)
def test_plain_targets(target: str, path: str) -> None:
    parsed = parse(f"GET {target} HTTP/1.1")
    assert parsed is not None
    head, length = parsed
    assert (head.method, head.target, head.path, length, head.keep_alive) == ("GET", target, path, 0, True)


@pytest.mark.parametrize(
    "line",
    ["GET / HTTP/1.1", "GET //v1 HTTP/1.1", "GET /v1//a HTTP/1.1", "GET /v1/../a HTTP/1.1", "GET /v1/.a HTTP/1.1", "GET /v1/%61 HTTP/1.1",
     "GET /v1;a HTTP/1.1", "GET /v1\\a HTTP/1.1", "GET /v1#a HTTP/1.1", "GET /v1?a#b HTTP/1.1", "GET /v1 HTTP/1.0", "GET /v1 HTTP/2.0", "GET /v1",
     "GET  /v1 HTTP/1.1", "GET /v1 HTTP/1.1 ", " GET /v1 HTTP/1.1", "get /v1 HTTP/1.1", "PUT /v1 HTTP/1.1", "OPTIONS * HTTP/1.1",
     "GET http://a/v1 HTTP/1.1", "GET /v1\t HTTP/1.1", "GET /\u00e9 HTTP/1.1", "GET /v1?\u00ff HTTP/1.1", "GET /v1\x00 HTTP/1.1", "\r\nGET /v1 HTTP/1.1"],
)  # fmt: skip
def test_lines_that_are_not_plain(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    "headers",
    ["", HOST * 2, "Host: a/b\r\n", "Host: \r\n", "Host: a@b\r\n", HOST + "X : a\r\n", HOST + ": a\r\n", HOST + "X\r\n", HOST + "X: a\r\n b\r\n",
     HOST + " X: a\r\n", HOST + "X: a\nY: b\r\n", HOST + "X: a\rY: b\r\n", HOST + "X: a\x00\r\n", HOST + "X: \xff\r\n", HOST + "X\xff: a\r\n",
     HOST + "X: a \r\n", HOST + "X: a\t\r\n", HOST + "X(: a\r\n", HOST + "Transfer-Encoding: chunked\r\n", HOST + "transfer-encoding: x\r\n",
     HOST + "Expect: 100-continue\r\n", HOST + "Upgrade: h2c\r\n", HOST + "Connection: upgrade\r\n", HOST + "Connection: close\r\nConnection: close\r\n",
     HOST + "\r\n", HOST + "X: a\r\n" * MAX_HEADERS, HOST + "X: " + "a" * MAX_HEAD_BYTES + "\r\n"],
)  # fmt: skip
def test_headers_that_are_not_plain(headers: str) -> None:
    assert parse(headers=headers) is None


@pytest.mark.parametrize(
    "lines",
    [
        "5, 5",
        "+5",
        "-1",
        "0x5",
        "5.0",
        " ",
        "",
        "9" * 16,
        "5\r\nContent-Length: 5",
        "5\r\ncontent-length: 6",
        "\u00b2",
    ],
)
def test_lengths_that_are_not_plain(lines: str) -> None:
    assert parse("POST /v1 HTTP/1.1", HOST + f"Content-Length: {lines}\r\n") is None


def test_bodies_belong_to_post() -> None:
    parsed = parse("POST /v1 HTTP/1.1", HOST + "content-length: 0012\r\nConnection: Close\r\n")
    assert parsed is not None and (parsed[1], parsed[0].keep_alive) == (12, False)
    for method in ("GET", "HEAD", "DELETE"):
        assert parse(f"{method} /v1 HTTP/1.1", HOST + "Content-Length: 5\r\n") is None


def test_values_are_as_sent() -> None:
    parsed = parse(headers=HOST + "X-A:1\r\nx-a: \t two  words\r\nEmpty:\r\n")
    assert parsed is not None
    headers = parsed[0].headers
    assert headers.getall("X-A") == ["1", "two  words"] and headers["empty"] == ""


LENGTHS = ["", "Content-Length: 7\r\n", "content-length:   0\r\n", "CONTENT-LENGTH: 123456\r\n", "Content-Length: 9x\r\n",
           "Content-Length: 7\r\nContent-Length: 7\r\n", "X-Content-Length: 7\r\n", "Content-Length: 99999999999999999\r\n"]  # fmt: skip
BEGINNINGS = [
    "POST /v1/a HTTP/1.1\r\nHost: a\r\n",
    "GET /v1/a HTTP/1.1\r\nHost: a\r\n",
    "POST /v1/b HTTP/1.1\r\nHost: a\r\nX: content-length: 3\r\n",
]
ENDS = ["", "Accept: a\r\n", "Accept: b\r\n"]
HEADS = [(start + length + end).encode() for start in BEGINNINGS for length in LENGTHS for end in ENDS]


@pytest.mark.parametrize("first", HEADS)
def test_a_head_that_matches_means_what_parsing_it_would_have_said(first: bytes) -> None:
    parsed = parse_plain_head(first)
    if parsed is None:
        return
    head, length = parsed
    assert head.match(first + b"\r\nbody", len(first)) == length
    assert "Content-Length" not in head.headers
    for second in HEADS:
        matched = head.match(second + b"\r\nbody", len(second))
        other = parse_plain_head(second)
        if matched < 0:
            continue
        assert other is not None and other[1] == matched
        assert (other[0].target, list(other[0].headers.items())) == (head.target, list(head.headers.items()))


def test_only_the_length_may_differ() -> None:
    parsed = parse_plain_head(b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nX: 1\r\n")
    assert parsed is not None
    same = b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nX: 1\r\n"
    for digits, length in ((b"8", 8), (b"1000000", 1_000_000), (b"", -1), (b"-1", -1), (b"8 ", -1), (b"1" * 16, -1), (b"8\r\nY: 2", -1)):  # fmt: skip
        assert parsed[0].match(same % digits, len(same % digits)) == length
    bare = parse_plain_head(b"GET /v1 HTTP/1.1\r\nHost: a\r\n")
    assert bare is not None
    assert bare[0].match(b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n", 37) == -1


@pytest.mark.parametrize(
    ("data", "may"),
    [(b"", True), (b"P", True), (b"GET /v1 HT", True), (b"GET / HTTP/1.1\r\nA: b\r", True), (b"get", False), (b"\x16\x03", False), (b"GET /\nHost", False),
     (b"G" * (MAX_HEAD_BYTES + 1), False)],
)  # fmt: skip
def test_beginnings(data: bytes, may: bool) -> None:
    assert may_become_plain(data) is may
