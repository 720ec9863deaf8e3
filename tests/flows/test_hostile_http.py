"""Heads, framing and bodies that no decent client sends: each gets its refusal, and nothing of it goes upstream."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import model_toml
from tests.support.raw import CHAT_BODY, RawAnswer, connect, make_request, read_answer, send

MAX_BODY_BYTES = 1_048_576


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(
        provider_toml(provider.base_url) + model_toml(),
        server=f"drain_seconds = 1\nmax_body_bytes = {MAX_BODY_BYTES}",
    )


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("hostile")


@pytest.fixture(autouse=True)
def unharmed(gateway: RunningGateway, provider: FakeProvider) -> Iterator[None]:
    """After each test: nothing crashed, nothing secret in the log."""
    yield
    assert gateway.fetch("/healthz") == (200, {"status": "ok"})
    log = gateway.log_text()
    assert "Traceback" not in log
    assert "gwk_" not in log and "fake-key" not in log


def assert_refused(answer: RawAnswer, status: int, code: str) -> None:
    """In the OpenAI shape, with the header that names the code."""
    assert (answer.status, answer.code) == (status, code)
    error = json.loads(answer.body)["error"]
    assert error["code"] == code and error["message"] and error["type"] and "param" in error
    assert b"gwk_" not in answer.body


def line(target: bytes, version: bytes = b"HTTP/1.1", method: bytes = b"POST") -> bytes:
    return b"%b %b %b" % (method, target, version)


def refused_lines() -> dict[bytes, str]:
    chat = b"/v1/chat/completions"
    targets = (
        b"/v1/../v1/chat/completions", b"/v1/./chat/completions", b"/v1/chat/completions/..", b"/v1/%2e%2e/chat/completions",
        b"/v1/%2E/chat/completions", b"/v1%2fchat/completions", b"/v1/chat%5ccompletions", b"/v1/%252e%252e/x", b"/v1/a%00b",
        b"//v1/chat/completions", b"/v1//chat/completions", b"/v1\\chat\\completions", b"/v1/chat/completions;x=1",
        b"/v1/chat/completions#part", b"/healthz/../v1/models", b"http://evil.example/v1/chat/completions",
        b"http://gateway/v1/chat/completions",
    )  # fmt: skip
    lines = {line(target): "invalid_target" for target in targets}
    lines |= {line(chat, version): "unsupported_http_version" for version in (b"HTTP/2.0", b"HTTP/0.9")}
    lines[line(b"*", method=b"OPTIONS")] = lines[line(b"gateway:443", method=b"CONNECT")] = "invalid_target"
    lines[b"GET /v1/models"] = "unsupported_http_version"  # HTTP/0.9 as it was
    lines[line(b"/v1/models", method=b"GET")] = "unexpected_body"
    malformed = (
        line(chat, b"HTTP/1.2"), line(chat, b"HTTP/1.10"), line(chat, b"http/1.1"), line(chat, b"HTTP/3"),
        line(chat, method=b"post"), line(chat, method=b"P\x00ST"), line(chat, method=b"PO ST"), line(chat, method=b"FETCH"),
        line(b"/v1/\x00"), line(b"/v1/\xff"), line("/v1/é".encode()), line(b"/v1/\tx"),
        b"PRI * HTTP/2.0", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00\xff\x00\xff",
    )  # fmt: skip
    lines[line(chat + b"?" + b"a" * 9000)] = "target_too_large"
    return lines | dict.fromkeys(malformed, "invalid_request")


@pytest.mark.parametrize("text", refused_lines(), ids=ascii)
def test_request_lines_that_are_not_plain(
    text: bytes, gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    before = provider.stats()["requests"]
    answer = send(gateway.port, make_request(key.secret, line=text), until_closed=True)
    code = refused_lines()[text]
    assert_refused(answer, 414 if code == "target_too_large" else 400, code)
    assert answer.closed
    assert provider.stats()["requests"] == before


def malformed_requests(secret: str) -> dict[str, bytes]:
    plain = make_request(secret)
    length = b"Content-Length: %d\r\n" % len(CHAT_BODY)
    chunked = b"Transfer-Encoding: chunked\r\n"
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CHAT_BODY), CHAT_BODY)
    framed = {
        "length and chunks": length + chunked,
        "length twice": length + b"Content-Length: 5\r\n",
        "the same length twice": length + length,
        "signed length": length.replace(b": ", b": +"),
        "length in hex": b"Content-Length: 0x10\r\n",
        "list of lengths": b"Content-Length: 61, 61\r\n",
        "unknown coding": b"Transfer-Encoding: xchunked\r\n",
        "chunked is not last": b"Transfer-Encoding: chunked, identity\r\n",
        "chunked twice": chunked + chunked,
        "gzip before chunked": b"Transfer-Encoding: gzip, chunked\r\n",
        "gzip before chunked, apart": b"Transfer-Encoding: gzip\r\n" + chunked,
    }
    requests = {
        name: make_request(secret, framing=lines, body=chunks if "gzip" in name else CHAT_BODY)
        for name, lines in framed.items()
    }
    requests |= {
        "no host": make_request(secret, host=b""),
        "two hosts": make_request(secret, host=b"Host: gateway\r\nHost: evil\r\n"),
        "bare line feeds": plain.replace(b"\r\n", b"\n"),
        "bare carriage return": make_request(secret, headers=b"X-A: a\rb\r\n"),
        "folded header": make_request(secret, headers=b"X-A: a\r\n b\r\n"),
        "blank before the colon": plain.replace(b"Authorization:", b"Authorization :"),
        "no name": make_request(secret, headers=b": a\r\n"),
        "NUL in a header": make_request(secret, headers=b"X-A: a\x00b\r\n"),
        "control character in a header": make_request(secret, headers=b"X-A: a\x01b\r\n"),
        "byte 255 in a name": make_request(secret, headers=b"X-\xff: a\r\n"),
        "200 headers": make_request(secret, headers=b"".join(b"X-%d: a\r\n" % i for i in range(200))),
        "20 kB header": make_request(secret, headers=b"X-A: " + b"a" * 20_000 + b"\r\n"),
        "endless header": plain.partition(b"\r\n\r\n")[0] + b"\r\nX-A: " + b"a" * 300_000,
        "chunks in HTTP/1.0": make_request(secret, line=line(b"/v1/chat/completions", b"HTTP/1.0"), framing=chunked, body=chunks),
        "line feed in a chunk extension": make_request(secret, framing=chunked, body=chunks.replace(b"\r\n", b";a\nb\r\n", 1)),
    }  # fmt: skip
    return requests


REFUSALS = dict.fromkeys(("200 headers", "20 kB header", "endless header"), (431, "headers_too_large"))
REFUSALS["gzip before chunked"] = (501, "unsupported_transfer_coding")


@pytest.mark.parametrize("name", malformed_requests(""))
def test_malformed_requests(
    name: str, gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    before = provider.stats()["requests"]
    answer = send(gateway.port, malformed_requests(key.secret)[name], until_closed=True)
    assert_refused(answer, *REFUSALS.get(name, (400, "invalid_request")))
    assert answer.closed
    assert provider.stats()["requests"] == before


@pytest.mark.parametrize("value", [b"a\xffb", b"\xc3", b"\xed\xa0\x80"], ids=ascii)
def test_header_bytes_that_are_no_text(value: bytes, gateway: RunningGateway, key: CreatedKey) -> None:
    answer = send(
        gateway.port, make_request(key.secret, headers=b"X-Title: " + value + b"\r\n"), until_closed=True
    )
    assert_refused(answer, 400, "invalid_header")
    assert send(gateway.port, make_request(key.secret, headers="X-Title: Café\r\n".encode())).status == 200


@pytest.mark.parametrize("size", [b"zz", b"-1", b"+5", b"0x5", b"fffffffffffffffff", b"5 "], ids=ascii)
def test_chunk_sizes_that_are_none(
    size: bytes, gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    before = provider.stats()["requests"]
    body = size + b"\r\n" + CHAT_BODY + b"\r\n0\r\n\r\n"
    answer = send(
        gateway.port,
        make_request(key.secret, framing=b"Transfer-Encoding: chunked\r\n", body=body),
        until_closed=True,
    )
    assert answer.status in (400, 0) and answer.closed
    assert provider.stats()["requests"] == before


def test_old_and_unusual_but_valid(gateway: RunningGateway, key: CreatedKey) -> None:
    chat = b"/v1/chat/completions"
    old = send(
        gateway.port, make_request(key.secret, line=line(chat, b"HTTP/1.0"), host=b""), until_closed=True
    )
    assert old.status == 200 and old.closed and "transfer-encoding" not in old.headers
    streamed = CHAT_BODY[:-1] + b',"stream":true}'
    old = send(
        gateway.port, make_request(key.secret, line=line(chat, b"HTTP/1.0"), body=streamed), until_closed=True
    )
    assert old.closed and old.body.endswith(b"data: [DONE]\n\n") and "transfer-encoding" not in old.headers
    chunks = (
        b"".join(b"1\r\n%c\r\n" % byte for byte in CHAT_BODY) + b"0\r\nAuthorization: Bearer other\r\n\r\n"
    )
    framing = b"Transfer-Encoding: chunked\r\n"
    assert send(gateway.port, make_request(key.secret, framing=framing, body=chunks)).status == 200
    assert send(gateway.port, make_request(key.secret, line=line(chat + b"?key=x&a=%2e%2e"))).status == 200
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
    assert send(gateway.port, make_request(key.secret, headers=upgrade)).status == 200


def test_expectations(gateway: RunningGateway, key: CreatedKey) -> None:
    wish = b"Expect: 100-continue\r\n"
    framing = b"Content-Length: %d\r\n" % len(CHAT_BODY)
    with connect(gateway.port) as connection:
        connection.sendall(make_request(key.secret, headers=wish, framing=framing, body=b""))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(CHAT_BODY)
        assert read_answer(connection).status == 200
    with connect(gateway.port) as connection:  # refused before a byte of the body was asked for
        connection.sendall(make_request("gwk_wrong", headers=wish, framing=framing, body=b""))
        assert_refused(read_answer(connection), 401, "invalid_api_key")
    answer = send(gateway.port, make_request(key.secret, headers=b"Expect: miracles\r\n"))
    assert_refused(answer, 417, "expectation_failed")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "TRACE"])
def test_wrong_methods(method: str, gateway: RunningGateway, key: CreatedKey) -> None:
    wanted = {"/v1/chat/completions": "POST", "/v1/models": "GET", "/healthz": "GET"}
    for path, allowed in wanted.items():
        if method == allowed or (method == "HEAD" and path == "/healthz"):
            continue
        text = f"{method} {path} HTTP/1.1".encode()
        answer = send(gateway.port, make_request(key.secret, line=text, framing=b"", body=b""))
        assert (answer.status, answer.code) == (405, "method_not_allowed")
        assert answer.headers["allow"].startswith(allowed)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/files", "/V1/chat/completions", "/v1/chat/completions/", "/v1/%63hat/completions", "/v1/models/",
             "/healthz/", "/admin", "/favicon.ico", "/v1/models/m:predict", "/openai/models/m:predict"],
)  # fmt: skip
def test_unknown_routes(path: str, gateway: RunningGateway, key: CreatedKey) -> None:
    assert_refused(
        send(gateway.port, make_request(key.secret, line=line(path.encode()))), 404, "route_not_found"
    )


def test_bodies_above_the_cap(gateway: RunningGateway, provider: FakeProvider, key: CreatedKey) -> None:
    before = provider.stats()["requests"]
    announced = make_request(key.secret, framing=b"Content-Length: %d\r\n" % (MAX_BODY_BYTES + 1))
    assert_refused(send(gateway.port, announced), 413, "body_too_large")
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    growing = make_request(key.secret, framing=b"Transfer-Encoding: chunked\r\n", body=chunk * 17)
    assert_refused(send(gateway.port, growing), 413, "body_too_large")
    filler = b'{"model":"chat","messages":[{"role":"user","content":"%b"}]}'
    fits = filler % (b"a" * (MAX_BODY_BYTES - len(filler) + 2))
    assert len(fits) == MAX_BODY_BYTES
    assert send(gateway.port, make_request(key.secret, body=fits)).status == 200
    assert provider.stats()["requests"] == before + 1


def test_the_credential_is_judged_before_the_body(gateway: RunningGateway) -> None:
    huge = make_request(framing=b"Content-Length: 10000000000\r\n", body=b"a" * 100_000)
    answer = send(gateway.port, huge, until_closed=True)
    assert_refused(answer, 401, "missing_api_key")
    assert answer.headers["www-authenticate"] == "Bearer" and answer.closed


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "identity\r\nContent-Encoding: gzip"])
def test_encoded_bodies(encoding: str, gateway: RunningGateway, key: CreatedKey) -> None:
    lines = f"Content-Encoding: {encoding}\r\n".encode()
    assert_refused(send(gateway.port, make_request(key.secret, headers=lines)), 415, "unsupported_encoding")


def test_credentials(gateway: RunningGateway, provider: FakeProvider, key: CreatedKey) -> None:
    def ask(*lines: str) -> RawAnswer:
        return send(gateway.port, make_request(headers="".join(f"{text}\r\n" for text in lines).encode()))

    before = provider.stats()["requests"]
    bearer = f"Authorization: Bearer {key.secret}"
    conflicts = (
        (bearer, "x-api-key: other"), (bearer, "Authorization: Bearer other"), ("api-key: a", "x-goog-api-key: b"),
        (bearer, f"x-api-key: {key.secret}x"), (f"x-api-key: {key.secret}", "x-api-key: other"),
    )  # fmt: skip
    for lines in conflicts:
        assert_refused(ask(*lines), 400, "conflicting_credentials")
    garbage = (
        "a" * 5000, "ключ", "gwk_", "null", "' OR 1=1 --", key.secret[:-1], key.secret + "A", key.secret.swapcase(), "a b", "\u00a0",
    )  # fmt: skip
    for text in garbage:
        assert_refused(ask(f"Authorization: Bearer {text}"), 401, "invalid_api_key")
    for lines in (
        (),
        ("Authorization:",),
        ("Authorization: Bearer",),
        ("Authorization: Basic Zm9v",),
        ("x-api-key: ",),
    ):
        assert_refused(ask(*lines), 401, "missing_api_key")
    assert provider.stats()["requests"] == before
    for lines in (
        (bearer, bearer),
        (bearer, f"x-api-key: {key.secret}"),
        (f"api-key: {key.secret}",),
        (f"AUTHORIZATION: bearer   {key.secret}  ",),
    ):
        assert ask(*lines).status == 200


def test_pipelined_requests_are_answered_in_order(gateway: RunningGateway, key: CreatedKey) -> None:
    with connect(gateway.port) as connection:
        models = make_request(key.secret, line=b"GET /v1/models HTTP/1.1", framing=b"", body=b"")
        unknown = make_request(key.secret, line=b"GET /v1/models/nope HTTP/1.1", framing=b"", body=b"")
        connection.sendall((models + unknown) * 25)
        statuses = []
        received = connection.makefile("rb")
        for _ in range(50):
            statuses.append(int(received.readline().split()[1]))
            length = 0
            while (head := received.readline()) != b"\r\n":
                if head.lower().startswith(b"content-length:"):
                    length = int(head.split(b":")[1])
            received.read(length)
        received.close()
    assert statuses == [200, 404] * 25
