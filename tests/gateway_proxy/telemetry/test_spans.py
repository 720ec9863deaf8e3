"""A finished exchange as a span: names by the conventions, times that add up, no content."""

from typing import Any

import pytest

from gateway_proxy.core.errors import RateLimited
from gateway_proxy.core.exchange import Attempt, Exchange, Outcome
from gateway_proxy.core.limiter import Lease
from gateway_proxy.core.usage import Usage, UsageSource
from gateway_proxy.telemetry.spans import Server, Span, find_operation, find_provider, make_span, take
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route, make_target

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
SERVER = Server("api.example.com", 443, "openai")


def make_ended(stream: bool = False, **members: Any) -> Exchange:
    exchange = make_exchange(
        make_policy(), make_model(), make_route(stream=stream, body={"model": "m", "secret": "a prompt"}),
        trace_id=TRACE, span_id=SPAN, parent_span=PARENT, trace_state="a=1", status=200, outcome=Outcome.COMPLETED,
        started_ns=1_000, **members,
    )  # fmt: skip
    for number, (provider, outcome) in enumerate(
        [("first", Outcome.UPSTREAM_FAILED), ("openai", Outcome.COMPLETED)]
    ):
        attempt = Attempt(number + 1, make_target(provider), Lease((), (), ""), 0, 5)  # type: ignore[arg-type]
        attempt.outcome = outcome
        if provider == "openai":
            attempt.usage, attempt.usage_source = (
                Usage(
                    input=5,
                    cached_input=4,
                    cache_write=3,
                    cache_write_1h=2,
                    audio_input=1,
                    output=7,
                    reasoning=6,
                ),
                UsageSource.PROVIDER,
            )
            attempt.charged_nanos, attempt.reported_model = 1_500_000, "openai-m-2026"
        exchange.attempts.append(attempt)
    return exchange


def span_of(exchange: Exchange, server: Server | None = SERVER) -> Span:
    return make_span(take(exchange, 2_000_001_000), server)


def test_a_completed_stream() -> None:
    span = span_of(make_ended(stream=True, first_byte_ns=500_001_000))
    assert span[:7] == (
        "chat m", TRACE, SPAN, PARENT, "a=1", 1_790_000_000_000_000_000, 1_790_000_002_000_000_000,
    )  # fmt: skip
    assert span.error == ""
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "openai-m-2026",
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 15,
        "gen_ai.usage.output_tokens": 13,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 6,
        "gen_ai.usage.audio.input_tokens": 1,
        "server.address": "api.example.com",
        "server.port": 443,
        "http.response.status_code": 200,
        "gateway_proxy.request.id": "req_1",
        "gateway_proxy.outcome": "completed",
        "gateway_proxy.attempts": 2,
        "gateway_proxy.key.id": "key_a",
        "gateway_proxy.organization": "default",
        "gateway_proxy.provider": "openai",
        "gateway_proxy.upstream_model": "openai-m",
        "gateway_proxy.cost_usd": 0.0015,
        "gateway_proxy.usage_source": "provider",
    }


def test_a_refusal_without_a_key() -> None:
    exchange = make_exchange(
        trace_id=TRACE, status=429, outcome=Outcome.DENIED, error=RateLimited("Too fast.")
    )
    span = span_of(exchange, None)
    assert (span.name, span.error, span.parent) == ("chat", "rate_limit_exceeded", "")
    assert len(span.span_id) == 16 and int(span.span_id, 16)
    assert span.attributes["gen_ai.provider.name"] == "gateway_proxy"
    assert "gen_ai.request.model" not in span.attributes and "gateway_proxy.key.id" not in span.attributes


@pytest.mark.parametrize(
    ("status", "outcome", "error"),
    [
        (400, Outcome.UPSTREAM_FAILED, "400"),
        (200, Outcome.UPSTREAM_FAILED, "upstream_failed"),
        (200, Outcome.REVOKED, "revoked"),
        (499, Outcome.CLIENT_GONE, ""),
    ],
)
def test_what_is_an_error(status: int, outcome: Outcome, error: str) -> None:
    exchange = make_ended()
    exchange.status, exchange.outcome = status, outcome
    span = span_of(exchange)
    assert span.error == span.attributes.get("error.type", "") == error


def test_a_refusal_in_the_shadow() -> None:
    assert (
        span_of(make_ended(would_deny="ip_not_allowed")).attributes["gateway_proxy.would_deny"]
        == "ip_not_allowed"
    )


def test_nothing_of_the_content_is_told() -> None:
    assert "a prompt" not in repr(take(make_ended(), 1)) + repr(span_of(make_ended()))


@pytest.mark.parametrize(
    ("operation", "path", "name"),
    [
        ("chat", "/v1/chat/completions", "chat"),
        ("messages", "/v1/messages", "chat"),
        ("messages", "/v1/messages/count_tokens", "count_tokens"),
        ("completions", "/v1/completions", "text_completion"),
        ("gemini", "/v1beta/models/g:streamGenerateContent", "generate_content"),
        ("gemini", "/v1beta/models/g:embedContent", "embeddings"),
        ("rerank", "/v1/rerank", "rerank"),
        ("new", "/v1/new", "new"),
    ],
)
def test_operations(operation: str, path: str, name: str) -> None:
    assert find_operation(operation, path) == name


@pytest.mark.parametrize(
    ("name", "dialect", "known"),
    [
        ("openai", "openai", "openai"), ("mistral", "openai", "mistral_ai"), ("my-vllm", "openai", "my-vllm"),
        ("claude-eu", "anthropic", "anthropic"), ("vertex", "gemini", "gcp.gemini"), ("east", "azure", "azure.ai.openai"),
    ],
)  # fmt: skip
def test_providers(name: str, dialect: str, known: str) -> None:
    assert find_provider(name, dialect) == known


@pytest.mark.parametrize(
    ("operation", "path", "output_type"),
    [
        ("images", "/v1/images/generations", "image"),
        ("audio", "/v1/audio/speech", "speech"),
        ("audio", "/v1/audio/transcriptions", "text"),
        ("chat", "/v1/chat/completions", None),
    ],
)
def test_output_types(operation: str, path: str, output_type: str | None) -> None:
    exchange = make_ended(path=path, operation=operation)
    assert span_of(exchange).attributes.get("gen_ai.output.type") == output_type
