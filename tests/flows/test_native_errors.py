"""Each refusal as Anthropic's and Google's official SDKs raise it: class, status, type, our code and headers.

One table for both: what differs is how a call is made and where each SDK puts what it read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import pytest
from google.genai import errors, types

from gateway_proxy.keys.service import Caller
from tests.support.clients import anthropic_sdk, closed_port, gemini_sdk, say
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.raw import RawAnswer, make_request, send

_CALLER = Caller("tests")
PRICE = "price = { input = 1, output = 2 }\nmax_output_tokens = 4096\nmax_input_tokens = 100000\n"


@dataclass(frozen=True)
class Case:
    """A key's members and a call: a model, a prompt, an output maximum. What both SDKs must then raise."""

    status: int
    anthropic_class: type[anthropic.APIStatusError]
    anthropic_type: str
    gemini_status: str
    code: str
    key: dict[str, Any] = field(default_factory=dict)
    model: str = "own"
    text: str = "hello"
    maximum: int = 50
    should_retry: str = ""
    tools: bool = False
    is_upstreams: bool = False


A, RATE, DENIED = anthropic, "rate_limit_error", "permission_error"
CASES = {
    "ip": Case(403, A.PermissionDeniedError, DENIED, "PERMISSION_DENIED", "ip_not_allowed", {"ip_allowlist": ["10.0.0.1"]}),
    "provider": Case(403, A.PermissionDeniedError, DENIED, "PERMISSION_DENIED", "provider_not_allowed", {"allowed_providers": []}),
    "endpoint": Case(403, A.PermissionDeniedError, DENIED, "PERMISSION_DENIED", "endpoint_not_allowed", {"allowed_endpoints": ["chat"]}),
    "forbidden model": Case(403, A.PermissionDeniedError, DENIED, "PERMISSION_DENIED", "model_not_found", {"allowed_models": ["x*"]}),
    "unknown model": Case(404, A.NotFoundError, "not_found_error", "NOT_FOUND", "model_not_found", model="nothing"),
    "foreign dialect": Case(400, A.BadRequestError, "invalid_request_error", "INVALID_ARGUMENT", "not_translatable", model="chat", tools=True),
    "parallel": Case(
        429, A.RateLimitError, RATE, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", {"max_parallel_requests": 0}, should_retry="false"
    ),
    "requests": Case(
        429, A.RateLimitError, RATE, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", {"requests_per_minute": 0}, should_retry="false"
    ),
    "tokens": Case(
        429, A.RateLimitError, RATE, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", {"tokens_per_minute": 1000}, maximum=2000,
        should_retry="false",
    ),
    "budget": Case(
        429, A.RateLimitError, RATE, "RESOURCE_EXHAUSTED", "insufficient_quota", {"budget_usd": "0.0001"}, maximum=2000, should_retry="false"
    ),
    "unpriced": Case(403, A.PermissionDeniedError, DENIED, "PERMISSION_DENIED", "model_unpriced", {"budget_usd": "1"}, model="prefix/x"),
    "unbounded": Case(403, A.PermissionDeniedError, DENIED, "PERMISSION_DENIED", "cost_unbounded", {"budget_usd": "1"}, tools=True),
    "wrong type": Case(400, A.BadRequestError, "invalid_request_error", "INVALID_ARGUMENT", "invalid_type", maximum=-1),
    "too large": Case(413, A.APIStatusError, "request_too_large", "INVALID_ARGUMENT", "body_too_large", text="x" * 70_000),
    "unreachable": Case(503, A.ServiceUnavailableError, "api_error", "UNAVAILABLE", "upstream_unavailable", model="dead"),
    "silent": Case(
        504, A.GatewayTimeoutError, "timeout_error", "DEADLINE_EXCEEDED", "upstream_timeout", model="slow",
        text="[[fake: mode=silent seconds=5]]",
    ),
    "credential": Case(502, A.InternalServerError, "api_error", "INTERNAL", "upstream_auth_failed", model="locked", should_retry="false"),
    "broken": Case(502, A.InternalServerError, "api_error", "INTERNAL", "upstream_broken", text="[[fake: mode=wrong_length]]"),
    "upstream's 400": Case(
        400, A.BadRequestError, "invalid_request_error", "INVALID_ARGUMENT", "", text="[[fake: mode=status status=400]]", is_upstreams=True
    ),
    "upstream's 429": Case(
        429, A.RateLimitError, RATE, "RESOURCE_EXHAUSTED", "", text="[[fake: mode=status status=429]]", is_upstreams=True
    ),
    "upstream's 529": Case(
        529, A.OverloadedError, "overloaded_error", "INTERNAL", "", text="[[fake: mode=status status=529]]", is_upstreams=True
    ),
    "upstream's 500": Case(500, A.InternalServerError, "api_error", "INTERNAL", "", text="[[fake: mode=error_after]]", is_upstreams=True),
}  # fmt: skip


def tables_for(dialect: str, provider: FakeProvider, locked: FakeProvider) -> str:
    def model(name: str, target: str) -> str:
        return f'[[models]]\nname = "{name}"\ntargets = [{{ provider = "{target}", model = "m" }}]\nretries = 0\n'

    dead = f"http://127.0.0.1:{closed_port()}"
    tables = provider_toml(provider.origin, name="prefix", dialect=dialect)
    tables += provider_toml(locked.origin, name="locked", dialect=dialect)
    tables += provider_toml(dead, name="dead", dialect=dialect)
    tables += provider_toml(provider.origin, name="slow", dialect=dialect, timeouts="first_byte = 0.3")
    tables += provider_toml(provider.base_url, name="openai-like")
    for name, target in {
        "own": "prefix",
        "locked": "locked",
        "dead": "dead",
        "slow": "slow",
        "chat": "openai-like",
    }.items():
        tables += model(name, target) + PRICE
    return tables


@pytest.fixture(scope="module")
def locked() -> Iterator[FakeProvider]:
    with FakeProvider(api_key="another") as running:
        yield running


@pytest.fixture(scope="module", params=["anthropic", "gemini"])
def served(
    provider: FakeProvider, locked: FakeProvider, request: pytest.FixtureRequest
) -> Iterator[tuple[str, RunningGateway]]:
    tables = tables_for(request.param, provider, locked)
    with RunningGateway(tables, server="drain_seconds = 2\nmax_body_bytes = 65536") as running:
        yield request.param, running


def call_anthropic(gateway: RunningGateway, secret: str, case: Case) -> anthropic.APIStatusError:
    tools: Any = [{"type": "web_search_20250305", "name": "web_search"}] if case.tools else anthropic.omit
    with anthropic_sdk(gateway, secret) as client, pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(
            model=case.model, max_tokens=case.maximum, messages=say(case.text), tools=tools
        )
    return raised.value


def call_gemini(gateway: RunningGateway, secret: str, case: Case) -> errors.APIError:
    tools: Any = [types.Tool(google_search=types.GoogleSearch())] if case.tools else None
    config = types.GenerateContentConfig(max_output_tokens=case.maximum, tools=tools)
    with gemini_sdk(gateway, secret) as client, pytest.raises(errors.APIError) as raised:
        client.models.generate_content(model=case.model, contents=case.text, config=config)
    return raised.value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_refusal_is_raised_as_what_it_is(served: tuple[str, RunningGateway], case: Case) -> None:
    dialect, gateway = served
    secret = gateway.create_key(**case.key).secret
    is_foreign = (
        case.code == "not_translatable" and dialect == "gemini"
    )  # nothing of its clients is translated
    code = "dialect_not_served" if is_foreign else case.code
    if dialect == "anthropic":
        error = call_anthropic(gateway, secret, case)
        assert type(error) is case.anthropic_class or case.status == 413
        assert error.status_code == case.status
        headers: Any = error.response.headers
        assert error.request_id == headers["x-request-id"]
        assert isinstance(error.body, dict) and error.body["type"] == "error"
        shown = error.body["error"]
        assert shown["type"] == case.anthropic_type
        if not case.is_upstreams:
            assert (shown["code"], error.error_code, error.body["request_id"]) == (
                case.code,
                case.code,
                error.request_id,
            )
    else:
        refused = call_gemini(gateway, secret, case)
        assert type(refused) is (errors.ClientError if case.status < 500 else errors.ServerError)
        assert (refused.code, refused.status) == (case.status, case.gemini_status)
        response: Any = refused.response
        headers = response.headers
        if not case.is_upstreams:
            [info] = [d for d in refused.details["error"]["details"] if d["@type"].endswith("ErrorInfo")]
            assert info["reason"] == code
    if case.is_upstreams:
        assert headers["x-gateway-error-source"] == "upstream" and "x-gateway-error" not in headers
    else:
        assert headers["x-gateway-error"] == code
    assert headers.get("x-should-retry", "") == case.should_retry
    assert headers["content-type"] == "application/json"


PATHS = {"anthropic": "/v1/messages", "gemini": "/v1beta/models/own:generateContent"}
KINDS = {
    400: ("invalid_request_error", "INVALID_ARGUMENT"), 401: ("authentication_error", "UNAUTHENTICATED"),
    404: ("not_found_error", "NOT_FOUND"), 405: ("invalid_request_error", "UNIMPLEMENTED"),
    415: ("invalid_request_error", "INVALID_ARGUMENT"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code", "options"),
    [
        (401, "missing_api_key", {"secret": ""}),
        (401, "invalid_api_key", {"secret": "gwk_" + "A" * 49}),
        (400, "conflicting_credentials", {"headers": b"x-api-key: other\r\n"}),
        (400, "invalid_json", {"body": b"{"}),
        (400, "invalid_type", {"body": b"[]"}),
        (400, "too_deep", {"body": b'{"x":' + b"[" * 200 + b"]" * 200 + b"}"}),
        (400, {"anthropic": "model_missing", "gemini": "invalid_type"}, {"body": b'{"contents":1}'}),
        (415, "unsupported_encoding", {"headers": b"content-encoding: gzip\r\n"}),
        (405, "method_not_allowed", {"method": "GET", "body": b"", "framing": b""}),
        (404, "route_not_found", {"path": {"anthropic": "/v1/messages/batches", "gemini": "/v1beta/files"}}),
    ],
)
def test_what_no_sdk_would_send(
    served: tuple[str, RunningGateway], status: int, code: str | dict[str, str], options: dict[str, Any]
) -> None:
    dialect, gateway = served
    asked = dict(options)
    path = asked.pop("path", PATHS)[dialect]
    secret = asked.pop("secret", None)
    secret = gateway.create_key().secret if secret is None else secret
    line = f"{asked.pop('method', 'POST')} {path} HTTP/1.1".encode()
    answer: RawAnswer = send(gateway.port, make_request(secret, line=line, **asked))
    expected = code if isinstance(code, str) else code[dialect]
    assert (answer.status, answer.code) == (status, expected)
    kind, canonical = KINDS[status]
    if dialect == "anthropic":
        assert f'"type":"{kind}"'.encode() in answer.body and b'"request_id":"req_' in answer.body
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
    else:
        assert f'"status":"{canonical}"'.encode() in answer.body


@pytest.mark.parametrize(
    "orders", ["mode=reset after=3", "mode=bad_chunk after=3", "mode=stream_error_after after=3"]
)
def test_a_stream_that_breaks_raises_in_the_client(served: tuple[str, RunningGateway], orders: str) -> None:
    dialect, gateway = served
    key = gateway.create_key("streams", budget_usd="1")
    text, texts = f"[[fake: {orders} delay_ms=1]]", []
    if dialect == "anthropic":
        with anthropic_sdk(gateway, key.secret) as client, pytest.raises(anthropic.APIStatusError) as broken:
            with client.messages.stream(model="own", max_tokens=50, messages=say(text)) as stream:
                texts.extend(stream.text_stream)
        assert broken.value.type == "api_error"
    else:
        with gemini_sdk(gateway, key.secret) as other, pytest.raises(errors.ServerError):
            for piece in other.models.generate_content_stream(model="own", contents=text):
                texts.append(piece.text or "")
    assert gateway.settled_rows(key.id)[0]["outcome"] == "upstream_failed"


def test_a_message_without_its_end_is_broken(served: tuple[str, RunningGateway]) -> None:
    """The framing ends well, the message does not: a client would take half of it for the whole."""
    dialect, gateway = served
    if dialect != "anthropic":
        return
    key = gateway.create_key("early")
    with anthropic_sdk(gateway, key.secret) as client, pytest.raises(anthropic.APIStatusError) as broken:
        with client.messages.stream(
            model="own", max_tokens=50, messages=say("[[fake: mode=cut end=clean]]")
        ) as stream:
            for _ in stream:
                pass
    assert broken.value.error_code == "upstream_broken"


def test_a_revoked_key_ends_the_stream(served: tuple[str, RunningGateway]) -> None:
    dialect, gateway = served
    key = gateway.create_key("leaked")
    text = "[[fake: mode=slow delay_ms=100 tokens=100]]"

    def revoke() -> object:
        return gateway.change_keys(lambda service, _: service.revoke(key.id, _CALLER))

    if dialect == "anthropic":
        with anthropic_sdk(gateway, key.secret) as client, pytest.raises(anthropic.APIStatusError) as cut:
            with client.messages.stream(model="own", max_tokens=100, messages=say(text)) as stream:
                for number, _ in enumerate(stream.text_stream):
                    if number == 1:
                        revoke()
        assert cut.value.error_code == "key_revoked"
    else:
        with gemini_sdk(gateway, key.secret) as other, pytest.raises(errors.ClientError) as ended:
            for number, _ in enumerate(other.models.generate_content_stream(model="own", contents=text)):
                if number == 1:
                    revoke()
        assert ended.value.status == "UNAUTHENTICATED"


def test_budgets_may_answer_402(provider: FakeProvider, locked: FakeProvider) -> None:
    tables = tables_for("anthropic", provider, locked) + "[security]\nbudget_status = 402\n"
    with RunningGateway(tables) as gateway:
        broke = gateway.create_key(budget_usd="0").secret
        error = call_anthropic(gateway, broke, CASES["budget"])
    assert type(error) is anthropic.PaymentRequiredError and error.type == "billing_error"
