"""Secrets stay where they belong: canaries go through every failure, and none turns up in a log, a file or an answer."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from gateway_proxy.keys.service import Caller
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import model_toml
from tests.support.raw import make_request, send
from tests.support.receiver import Receiver

PROVIDER_KEY = "pk-canary-8b2e4d"
PROMPT = "prompt-canary-51f7"
COOKIE = "cookie-canary-a90c"
QUERY = "query-canary-77de"
FOREIGN = "foreign-canary-3c61"
UPSTREAM_TEXT = "[[fake: %s]] " + PROMPT
ORDERS = (
    "mode=honest", "mode=status status=400", "mode=status status=401", "mode=status status=500", "mode=redirect to=http://127.0.0.1:9/",
    "mode=endless_header", "mode=gzip_bomb megabytes=5", "mode=ctl_header", "mode=bad_chunk", "mode=reset", "mode=cut", "mode=wrong_length",
    "mode=usage_negative", "mode=error_after", "mode=stream_error_after", "mode=silent seconds=2", "mode=huge_event bytes=100000", "mode=bogus",
)  # fmt: skip
HEADERS = f"Cookie: session={COOKIE}\r\nX-Request-Id: mine\r\nReferer: http://a/?key={QUERY}\r\n".encode()
LINE = f"POST /v1/chat/completions?key={QUERY} HTTP/1.1".encode()


@pytest.fixture(scope="module")
def gateway(
    run_gateway: Callable[..., RunningGateway], canary_provider: FakeProvider, spans: Receiver
) -> RunningGateway:
    dead = provider_toml("http://127.0.0.1:9/v1", name="dead")
    timeouts = "connect = 1, first_byte = 1, between_bytes = 1"
    tables = provider_toml(canary_provider.base_url, timeouts=timeouts) + dead
    tables += model_toml() + model_toml("dead", targets=["dead"])
    tables += f'[telemetry]\ntraces = true\nendpoint = "http://127.0.0.1:{spans.port}"\n'
    return run_gateway(tables, provider_key=PROVIDER_KEY, server="drain_seconds = 1\nmax_body_bytes = 65536")


@pytest.fixture(scope="module")
def spans() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def canary_provider() -> Iterator[FakeProvider]:
    with FakeProvider(api_key=PROVIDER_KEY) as running:
        yield running


def chat(directive: str, *, stream: bool = False, model: str = "chat", more: str = "") -> bytes:
    content = UPSTREAM_TEXT % directive
    return (
        f'{{"model":"{model}","stream":{str(stream).lower()},{more}"messages":[{{"role":"user","content":"{content}"}}]}}'
    ).encode()


def failures(key: CreatedKey, poor: CreatedKey, revoked: CreatedKey) -> list[bytes]:
    """Requests that go wrong in every way there is, each with all canaries in their places."""

    def ask(secret: str, body: bytes, line: bytes = LINE, headers: bytes = b"") -> bytes:
        return make_request(secret, line=line, body=body, headers=HEADERS + headers)

    requests = [
        ask(key.secret, chat(order, stream=stream))
        for order, stream in itertools.product(ORDERS, (False, True))
    ]
    good = chat("mode=honest")
    requests += [
        ask(secret, good)
        for secret in (FOREIGN, poor.secret, revoked.secret, key.secret[:-1], key.secret + FOREIGN)
    ]
    requests += [
        ask(key.secret, good, headers=f"x-api-key: {FOREIGN}\r\n".encode()),
        ask(key.secret, good, headers=b"Content-Encoding: gzip\r\n"),
        ask(key.secret, good, headers=b"Expect: miracles\r\n"),
        ask(key.secret, good, headers=b"X-A: a\x00b\r\n"),
        ask(key.secret, good, headers=b"X-A: a\xffb\r\n"),
        ask(key.secret, good).replace(b"Authorization:", b"Authorization :"),
        ask(key.secret, good).replace(b"\r\n", b"\n"),
        ask(key.secret, good, line=LINE.replace(b"HTTP/1.1", b"HTTP/2.0")),
        ask(key.secret, good, line=LINE.replace(b"/v1/", b"/v1/../v1/")),
        ask(key.secret, good, line=LINE.replace(b"POST", b"DELETE")),
        ask(key.secret, good, line=LINE.replace(b"chat", b"files")),
        ask(key.secret, good, line=f"GET /v1/models?key={QUERY} HTTP/1.1".encode()),
        ask(key.secret, good[:-1]),
        ask(key.secret, good + b"x"),
        ask(key.secret, b"[" + good + b"]"),
        ask(key.secret, good.replace(b'"messages"', b'"Messages"')),
        ask(key.secret, chat("mode=honest", model="nope")),
        ask(key.secret, chat("mode=honest", model="dead")),
        ask(key.secret, chat("mode=honest", more='"n":-1,')),
        ask(key.secret, chat("mode=honest", more='"max_tokens":"' + PROMPT + '",')),
        ask(key.secret, chat("mode=honest " + "a" * 70_000)),
    ]  # fmt: skip
    return requests


def test_no_canary_leaves_its_place(gateway: RunningGateway, spans: Receiver) -> None:
    key, poor, revoked = (
        gateway.create_key("good"),
        gateway.create_key("poor", budget_usd="0"),
        gateway.create_key("gone"),
    )
    gateway.change_keys(lambda service, _: service.revoke(revoked.id, Caller("tests")))
    statuses = set()
    answers = b""
    for request in failures(key, poor, revoked):
        answer = send(gateway.port, request)
        statuses.add(answer.status)
        answers += repr(answer.headers).encode() + answer.body
    assert {200, 400, 401, 404, 405, 413, 415, 417, 429, 500, 502, 503, 504} <= statuses
    gateway.settled_rows()
    metrics = send(gateway.port, make_request(line=b"GET /metrics HTTP/1.1", body=b"", framing=b"")).body
    assert b"gateway_proxy_refusals_total" in metrics
    assert gateway.stop() == 0  # what it writes at its end counts too
    secrets = {
        "key": key.secret,
        "poor key": poor.secret,
        "revoked key": revoked.secret,
        "provider key": PROVIDER_KEY,
    }
    everywhere = secrets | {"cookie": COOKIE, "query": QUERY, "foreign credential": FOREIGN}
    for name, canary in everywhere.items():
        assert canary.encode() not in answers, f"the {name} is in an answer"
    traces = b"".join(request.body for request in spans.requests)
    assert traces.count(b"gen_ai.operation.name") > len(ORDERS)
    for name, canary in (everywhere | {"prompt": PROMPT}).items():
        assert canary.encode() not in metrics + traces, f"the {name} is in a metric or a span"
    files = [path for path in gateway.folder.rglob("*") if path.is_file() and path.name != "provider.key"]
    assert {"log", "gateway.db"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        for name, canary in (everywhere | {"prompt": PROMPT}).items():
            assert canary.encode() not in content, f"the {name} is in {path.name}"
    assert "Traceback" not in gateway.log_text()


def test_the_canaries_would_be_found(gateway: RunningGateway) -> None:
    """The proof that the search above looks where something is: what may be kept is there."""
    database = b"".join(path.read_bytes() for path in gateway.folder.glob("gateway.db*"))
    assert b"/v1/chat/completions" in database and b"good" in database
