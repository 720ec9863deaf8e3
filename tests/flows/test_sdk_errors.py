"""Each refusal as the official SDK raises it, its client for Azure too: class, status, type, code, param and headers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest

from tests.support.clients import HELLO, closed_port, say, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

Call = Callable[[openai.OpenAI], Any]
PRICE = "price = { input = 1, output = 2 }\nmax_output_tokens = 4096\nmax_input_tokens = 100000\n"


def chat(model: str = "chat", text: str = "hello", **members: Any) -> Call:
    def call(client: openai.OpenAI) -> Any:
        # A deployment stands in the path, where no slash can be.
        name = model.replace("/", "-") if isinstance(client, openai.AzureOpenAI) else model
        return client.chat.completions.create(model=name, messages=say(text), **members)

    return call


def chat_path(client: openai.OpenAI) -> str:
    return f"{'/deployments/chat' if isinstance(client, openai.AzureOpenAI) else ''}/chat/completions"


def raw_post(content: bytes, **headers: str) -> Call:
    """A body that the SDK would not build."""
    headers = {"content-type": "application/json", **headers}
    return lambda client: client.post(
        chat_path(client), content=content, cast_to=object, options={"headers": headers}
    )


@dataclass(frozen=True)
class Case:
    """A key's members, a call, and what must be raised. A header of "" must be missing, of "*" have any value."""

    call: Call
    raised: type[openai.APIStatusError]
    status: int
    type: str
    code: str
    key: dict[str, Any] = field(default_factory=dict)
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    gateway: dict[str, Any] | None = None
    is_upstreams: bool = False


INVALID, FORBIDDEN = "invalid_request_error", "permission_error"
CASES = {
    "ip": Case(chat(), openai.PermissionDeniedError, 403, FORBIDDEN, "ip_not_allowed", {"ip_allowlist": ["10.0.0.1"]}),
    "provider": Case(
        chat(), openai.PermissionDeniedError, 403, FORBIDDEN, "provider_not_allowed", {"allowed_providers": ["dead"]}
    ),
    "no provider at all": Case(
        chat(), openai.PermissionDeniedError, 403, FORBIDDEN, "provider_not_allowed", {"allowed_providers": []}
    ),
    "endpoint": Case(
        chat(), openai.PermissionDeniedError, 403, FORBIDDEN, "endpoint_not_allowed", {"allowed_endpoints": ["embeddings"]}
    ),
    "forbidden model": Case(
        chat(), openai.PermissionDeniedError, 403, INVALID, "model_not_found",
        {"allowed_models": ["gpt-*"]}, "model", gateway={"reason": "model_not_allowed"},
    ),
    "unknown model": Case(
        chat("nothing"), openai.NotFoundError, 404, INVALID, "model_not_found",
        param="model", gateway={"reason": "unknown_model"},
    ),
    "parallel": Case(
        chat(), openai.RateLimitError, 429, "requests", "rate_limit_exceeded", {"max_parallel_requests": 0},
        headers={"x-should-retry": "false", "retry-after": ""}, gateway={"limit": "max_parallel_requests"},
    ),
    "no requests": Case(
        chat(), openai.RateLimitError, 429, "requests", "rate_limit_exceeded", {"requests_per_minute": 0},
        headers={"x-should-retry": "false", "retry-after": "", "x-ratelimit-limit-requests": "0"},
    ),
    "too many tokens": Case(
        chat(max_tokens=2000), openai.RateLimitError, 429, "tokens", "rate_limit_exceeded", {"tokens_per_minute": 1000},
        headers={"x-should-retry": "false", "retry-after": "", "x-ratelimit-remaining-tokens": "1000"},
    ),
    "budget": Case(
        chat(), openai.RateLimitError, 429, "insufficient_quota", "insufficient_quota", {"budget_usd": "0.0001"},
        headers={"x-should-retry": "false", "retry-after": "", "x-gateway-budget-remaining-usd": "0.0001"},
    ),
    "unpriced": Case(
        chat("fake/unpriced"), openai.PermissionDeniedError, 403, INVALID, "model_unpriced", {"budget_usd": "1"}, "model"
    ),
    "unbounded": Case(
        chat(prediction={"type": "content", "content": "x"}), openai.PermissionDeniedError, 403, INVALID, "cost_unbounded",
        {"budget_usd": "1"},
    ),
    "no json": Case(raw_post(b"{"), openai.BadRequestError, 400, INVALID, "invalid_json"),
    "wrong type": Case(
        chat(max_tokens="many"), openai.BadRequestError, 400, INVALID, "invalid_type", param="max_tokens"
    ),
    "too deep": Case(raw_post(b'{"model":' + b"[" * 200 + b"]" * 200 + b"}"), openai.BadRequestError, 400, INVALID, "too_deep"),
    "no model": Case(
        raw_post(b'{"messages":[]}'), openai.BadRequestError, 400, INVALID, "model_missing", param="model"
    ),
    "too large": Case(
        chat(text="x" * 70_000), openai.APIStatusError, 413, INVALID, "body_too_large"
    ),
    "encoded": Case(
        raw_post(b"{}", **{"content-encoding": "gzip"}), openai.APIStatusError, 415, INVALID, "unsupported_encoding"
    ),
    "route": Case(
        lambda client: client.files.list(), openai.NotFoundError, 404, INVALID, "route_not_found"
    ),
    "method": Case(
        lambda client: client.get(chat_path(client), cast_to=object), openai.APIStatusError, 405, INVALID, "method_not_allowed"
    ),
    "unreachable": Case(
        chat("dead/any"), openai.InternalServerError, 503, "api_error", "upstream_unavailable",
        headers={"retry-after": "1", "retry-after-ms": "1000"},
    ),
    "silent": Case(
        chat("slow/any", "[[fake: mode=silent seconds=5]]"), openai.InternalServerError, 504, "api_error", "upstream_timeout"
    ),
    "credential": Case(
        chat("locked/any"), openai.InternalServerError, 502, "api_error", "upstream_auth_failed",
        headers={"x-should-retry": "false", "www-authenticate": ""},
    ),
    "broken": Case(
        chat(text="[[fake: mode=wrong_length]]"), openai.InternalServerError, 502, "api_error", "upstream_broken"
    ),
    "upstream's 400": Case(
        chat(text="[[fake: mode=status status=400]]"), openai.BadRequestError, 400, INVALID, "", is_upstreams=True
    ),
    "upstream's 404": Case(
        chat(text="[[fake: mode=status status=404]]", stream=True), openai.NotFoundError, 404, "server_error", "",
        is_upstreams=True,
    ),
    "upstream's 429": Case(
        chat(text="[[fake: mode=status status=429 retry_after=7]]"), openai.RateLimitError, 429, "requests",
        "rate_limit_exceeded", headers={"retry-after": "7"}, is_upstreams=True,
    ),
    "upstream's 500": Case(
        chat(text="[[fake: mode=error_after]]"), openai.InternalServerError, 500, "server_error", "", is_upstreams=True
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tables(provider: FakeProvider) -> Iterator[str]:
    with FakeProvider(api_key="another") as locked:
        yield "".join(
            (
                provider_toml(provider.base_url),
                provider_toml(locked.base_url, name="locked"),
                provider_toml(f"http://127.0.0.1:{closed_port()}/v1", name="dead"),
                provider_toml(provider.base_url, name="slow", timeouts="first_byte = 0.3"),
                '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nretries = 0\n',
                PRICE,
                *(
                    f'[[models]]\nname = "{name}-{model}"\ntargets = [{{ provider = "{name}", model = "{model}" }}]\nretries = 0\n'
                    for name, model in (
                        ("fake", "unpriced"),
                        ("dead", "any"),
                        ("slow", "any"),
                        ("locked", "any"),
                    )
                ),
            )
        )


@pytest.fixture(scope="module")
def gateway(tables: str) -> Iterator[RunningGateway]:
    with RunningGateway(tables, server="drain_seconds = 2\nmax_body_bytes = 65536") as running:
        yield running


@pytest.fixture(scope="module")
def other_manners(tables: str) -> Iterator[RunningGateway]:
    """A gateway that hides forbidden models and answers 402 for budgets."""
    with RunningGateway(
        tables + "[security]\nbudget_status = 402\nhide_forbidden_models = true\n"
    ) as running:
        yield running


def refusal(gateway: RunningGateway, secret: str, call: Call) -> openai.APIStatusError:
    with sdk(gateway, secret, max_retries=0) as client, pytest.raises(openai.APIStatusError) as refused:
        call(client)
    return refused.value


def azure_refusal(gateway: RunningGateway, secret: str, call: Call) -> openai.APIStatusError:
    with (
        openai.AzureOpenAI(
            azure_endpoint=gateway.origin, api_key=secret, api_version="2024-10-21", max_retries=0
        ) as client,
        pytest.raises(openai.APIStatusError) as refused,
    ):
        call(client)
    return refused.value


# A deployment cannot be left out of its path.
WAYS = [
    pytest.param(refuse, case, id=f"{dialect}: {name}")
    for dialect, refuse in (("openai", refusal), ("azure", azure_refusal))
    for name, case in CASES.items()
    if (dialect, name) != ("azure", "no model")
]


@pytest.mark.parametrize(("refuse", "case"), WAYS)
def test_each_refusal_is_raised_as_what_it_is(
    gateway: RunningGateway, refuse: Callable[..., openai.APIStatusError], case: Case
) -> None:
    error = refuse(gateway, gateway.create_key(**case.key).secret, case.call)
    assert type(error) is case.raised
    assert error.status_code == case.status
    assert (error.type, error.code or "", error.param) == (case.type, case.code, case.param)
    headers = error.response.headers
    assert error.request_id == headers["x-request-id"] and error.request_id.startswith("req_")
    if case.is_upstreams:
        assert headers["x-gateway-error-source"] == "upstream" and "x-gateway-error" not in headers
    else:
        assert headers["x-gateway-error"] == case.code and "x-gateway-error-source" not in headers
    for name, value in case.headers.items():
        assert headers.get(name, "") == value
    assert headers["content-type"] == "application/json"
    assert isinstance(error.body, dict) and {"message", "type", "param", "code"} <= error.body.keys()
    if case.gateway is not None:
        assert error.body["gateway"] == case.gateway


def test_a_budget_refusal_can_be_checked_by_the_numbers(gateway: RunningGateway) -> None:
    key = gateway.create_key(budget_usd="0.0001", budget_period="month")
    error = refusal(gateway, key.secret, chat(max_tokens=100))
    assert isinstance(error.body, dict)
    budget = error.body["gateway"]["budget"]
    assert (budget["limit"], budget["spent"], budget["reserved"]) == ("0.0001", "0.00", "0.00")
    assert float(budget["needed"]) > 0.0002
    assert budget["resets_at"].endswith("-01T00:00:00Z")


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ("", "missing_api_key"),
        ("garbled", "invalid_api_key"),
        ("gwk_" + "A" * 49, "invalid_api_key"),
        ("sk-" + "x" * 8000, "invalid_api_key"),
    ],
    ids=["missing", "garbled", "unknown", "far too long"],
)
def test_who_has_no_key_is_told_how_to_authenticate(gateway: RunningGateway, secret: str, code: str) -> None:
    def call(client: openai.OpenAI) -> None:
        headers: Any = {} if secret else {"Authorization": openai.Omit()}
        client.chat.completions.create(model="chat", messages=HELLO, extra_headers=headers)

    error = refusal(gateway, secret or "unused", call)
    assert type(error) is openai.AuthenticationError
    assert (error.type, error.code, error.param) == (INVALID, code, None)
    assert error.response.headers["www-authenticate"] == "Bearer"
    assert error.response.headers["x-gateway-error"] == code
    assert not secret or secret not in error.response.text


def test_other_manners_are_settings(other_manners: RunningGateway) -> None:
    gateway = other_manners
    scoped = gateway.create_key("scoped", allowed_models=["gpt-*"])
    hidden = refusal(gateway, scoped.secret, chat())
    unknown = refusal(gateway, scoped.secret, chat("chatter"))
    assert type(hidden) is openai.NotFoundError and hidden.code == "model_not_found"
    assert hidden.response.text.replace("'chat'", "") == unknown.response.text.replace("'chatter'", "")
    broke = refusal(gateway, gateway.create_key("broke", budget_usd="0").secret, chat())
    assert (broke.status_code, broke.type, broke.code) == (402, "insufficient_quota", "insufficient_quota")
    assert broke.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("orders", "code"),
    [
        ("mode=reset after=3", "upstream_broken"),
        ("mode=bad_chunk after=3", "upstream_broken"),
        ("mode=stream_error_after after=3", None),
    ],
)
def test_a_stream_that_breaks_raises_in_the_client(
    gateway: RunningGateway, orders: str, code: str | None
) -> None:
    key = gateway.create_key()
    with sdk(gateway, key.secret, max_retries=0) as client:
        texts: list[str] = []
        answer = client.chat.completions.create(
            model="chat", messages=say(f"[[fake: {orders} delay_ms=1]]"), stream=True
        )
        chunks = (texts.append(chunk.choices[0].delta.content or "") for chunk in answer)
        with answer, pytest.raises(openai.APIError) as broken:
            list(chunks)
        assert "".join(texts) == "tok " * 3
        assert broken.value.code == code
        with client.responses.create(
            model="chat", input=f"[[fake: {orders} delay_ms=1]]", stream=True
        ) as stream:
            events = list(stream)
    assert [event.type for event in events].count("error") == 1
    assert events[-1].type == "error" and events[-1].code == (code or "server_error")
