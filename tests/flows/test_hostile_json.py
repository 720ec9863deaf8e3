"""Bodies and model names that another decoder could read differently: refused, or forwarded exactly as judged."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import model_toml
from tests.support.raw import RawAnswer, make_request, send

MEMBERS = b'"model":"chat","messages":[{"role":"user","content":"hi"}]'


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(provider_toml(provider.base_url) + model_toml(), server="drain_seconds = 1")


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("hostile")


@pytest.fixture(scope="module", autouse=True)
def unharmed(gateway: RunningGateway) -> Iterator[None]:
    yield
    assert gateway.fetch("/healthz") == (200, {"status": "ok"})
    assert "Traceback" not in gateway.log_text()


def with_member(text: bytes) -> bytes:
    return b"{" + MEMBERS + b"," + text + b"}"


def nested(levels: int) -> bytes:
    """A body of so many levels in all."""
    return with_member(b'"x":' + b"[" * (levels - 1) + b"]" * (levels - 1))


REFUSED = {
    "NaN": (with_member(b'"temperature":NaN'), "invalid_json"),
    "Infinity": (with_member(b'"temperature":-Infinity'), "invalid_json"),
    "beyond a double": (with_member(b'"temperature":1e999'), "invalid_json"),
    "400 digits": (with_member(b'"max_tokens":' + b"9" * 400), "invalid_json"),
    "text behind it": (b"{" + MEMBERS + b"}x", "invalid_json"),
    "a second document": (b"{" + MEMBERS + b"}{}", "invalid_json"),
    "byte order mark": (b"\xef\xbb\xbf{" + MEMBERS + b"}", "invalid_json"),
    "UTF-16": (("{" + MEMBERS.decode() + "}").encode("utf-16"), "invalid_json"),
    "lone surrogate": (with_member(b'"x":"\\ud800"'), "invalid_json"),
    "lone surrogate as bytes": (with_member(b'"x":"\xed\xa0\x80"'), "invalid_json"),
    "no UTF-8": (with_member(b'"x":"\xff"'), "invalid_json"),
    "overlong UTF-8": (with_member(b'"x":"\xc0\xaf"'), "invalid_json"),
    "raw control character": (with_member(b'"x":"a\nb"'), "invalid_json"),
    "comment": (b"{/**/" + MEMBERS + b"}", "invalid_json"),
    "trailing comma": (b"{" + MEMBERS + b",}", "invalid_json"),
    "single quotes": (b"{'model':'chat'}", "invalid_json"),
    "nothing": (b"", "invalid_json"),
    "blanks": (b" \r\n ", "invalid_json"),
    "NUL bytes": (b"\x00" * 64, "invalid_json"),
    "list": (b"[{" + MEMBERS + b"}]", "invalid_type"),
    "null": (b"null", "invalid_type"),
    "string": (b'"chat"', "invalid_type"),
    "129 levels": (nested(129), "too_deep"),
    "100,000 levels": (nested(100_000), "too_deep"),
    "100,000 levels never closed": (b"[" * 100_000, "too_deep"),
    "10 MB of openers": (b'{"x":' + b"[" * 10_000_000, "too_deep"),
    "Model": (with_member(b'"Model":"other"'), "invalid_json"),
    "long s": (with_member('"ſtream":true'.encode()), "invalid_json"),
    "Kelvin sign": (with_member('"max_to\u212aens":5'.encode()), "invalid_json"),
    "maxTokens": (with_member(b'"maxTokens":5'), "invalid_json"),
    "escaped lookalike": (with_member(b'"\\u004dodel":"other"'), "invalid_json"),
    "models": (with_member(b'"models":["other"]'), "invalid_type"),
    "negative maximum": (with_member(b'"max_tokens":-1'), "invalid_type"),
    "fractional maximum": (with_member(b'"max_tokens":1.0'), "invalid_type"),
    "boolean maximum": (with_member(b'"max_tokens":true'), "invalid_type"),
    "maximum of 2**63": (with_member(b'"max_tokens":9223372036854775808'), "invalid_type"),
    "maximum as text": (with_member(b'"max_tokens":"5"'), "invalid_type"),
    "stream as text": (with_member(b'"stream":"true"'), "invalid_type"),
    "negative n": (with_member(b'"n":-1'), "invalid_type"),
    "a million choices": (with_member(b'"n":1000000'), "invalid_type"),
    "messages as text": (b'{"model":"chat","messages":"hi"}', "invalid_type"),
    "message as text": (b'{"model":"chat","messages":["hi"]}', "invalid_type"),
    "no model": (b'{"messages":[]}', "model_missing"),
    "null model": (b'{"model":null,"messages":[]}', "model_missing"),
    "list as model": (b'{"model":["chat"],"messages":[]}', "invalid_type"),
    "two models, the second a list": (with_member(b'"model":["chat"]'), "invalid_type"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, gateway: RunningGateway, provider: FakeProvider, key: CreatedKey) -> None:
    before = provider.stats()["requests"]
    body, code = REFUSED[name]
    answer = send(gateway.port, make_request(key.secret, body=body), until_closed=True)
    assert (answer.status, answer.code) == (400, code)
    error = json.loads(answer.body)["error"]
    assert error["code"] == code and error["type"] == "invalid_request_error" and len(error["message"]) < 300
    assert provider.stats()["requests"] == before


MODEL_NAMES = (
    "CHAT", "chat.", "chat ", " chat", "chat\0", "chat\n", "chat\t", "chat\r\nx-evil: 1", "c\u200dhat", "chat\u202e", "\u0441hat", "c\u04bbat",
    "chat\ufe0f", "chat\u0301", "fa\u212ae/chat", "\u017fchat", "fake\uff0fchat", "fake/", "/chat", "fake/ chat", "fake/chat\0", "fake/a\r\nb",
    "fake/\u2028", "FAKE/chat", "fake/" + "x" * 200, "chat" * 100, "..", "*", "ch*", "e\u0301",
)  # fmt: skip


@pytest.mark.parametrize("name", MODEL_NAMES, ids=ascii)
def test_model_names_are_exact(
    name: str, gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    before = provider.stats()["requests"]
    body = json.dumps({"model": name, "messages": []}).encode()
    answer = send(gateway.port, make_request(key.secret, body=body))
    assert (answer.status, answer.code) == (404, "model_not_found")
    assert "x-evil" not in answer.headers
    assert provider.stats()["requests"] == before


def test_the_provider_sees_what_was_judged(
    gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    def ask(body: bytes) -> RawAnswer:
        return send(gateway.port, make_request(key.secret, body=body))

    # Whoever takes the first of two members and whoever takes the last get the same: there is one.
    twice = b'{"model":"nope","model":"chat","max_tokens":50,"max_tokens":3,"messages":[{"role":"user","content":"[[fake: tokens=90]]"}]}'
    answer = ask(twice)
    assert answer.status == 200 and json.loads(answer.body)["usage"]["completion_tokens"] == 3
    entry = provider.settled_ledger()[-1]
    assert (entry.model, entry.max_tokens) == ("m-chat", 3)
    assert ask(with_member(b'"model":"nope"')).status == 404
    sizes = {levels: ask(nested(levels)).status for levels in (2, 127, 128)}
    assert sizes == {2: 200, 127: 200, 128: 200}
    long_text = b"a" * 10_000_000
    assert ask(b'{"model":"chat","messages":[{"role":"user","content":"' + long_text + b'"}]}').status == 200
    assert provider.settled_ledger()[-1].body_bytes > 10_000_000
    assert ask(with_member(b'"seed":' + b"9" * 40 + b',"x":"\\u0000"')).status == 200
