"""One finished exchange as a span: its name, times and attributes. Plain values, no library.

Names are those of OpenTelemetry's conventions for generative AI (Development, the version after 1.41), for the server
and for errors; what they have no name for begins with `gateway_proxy.`. No content of requests or answers.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway_proxy.core.exchange import Exchange, Outcome
from gateway_proxy.core.ids import random_hex
from gateway_proxy.core.usage import Usage

Attribute = str | int | float | bool

_OPERATIONS = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "gemini": "generate_content",
    "images": "generate_content",
    "audio": "generate_content",
    "moderations": "moderation",
    "rerank": "rerank",
}
_BY_PATH = {
    "/count_tokens": "count_tokens",
    ":countTokens": "count_tokens",
    ":embedContent": "embeddings",
    ":batchEmbedContents": "embeddings",
}
_PROVIDERS = {
    "openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "google": "gcp.gemini",
    "azure": "azure.ai.openai", "cohere": "cohere", "deepseek": "deepseek", "groq": "groq", "mistral": "mistral_ai",
    "perplexity": "perplexity", "x-ai": "x_ai",
}  # fmt: skip
_OUTPUT_TYPES = {"/images/": "image", "/audio/speech": "speech", "/audio/trans": "text"}


class Server(NamedTuple):
    """Where a provider is, and what it speaks."""

    host: str
    port: int
    dialect: str


class Span(NamedTuple):
    """Ids in hex as W3C Trace Context has them, `parent` empty without one; times in Unix nanoseconds."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    trace_state: str
    start_ns: int
    end_ns: int
    error: str
    attributes: dict[str, Attribute]


@dataclass(slots=True)
class Finished:
    """What is kept of an exchange until its span is made: values only, so that its body can go."""

    exchange_id: str
    trace_id: str
    span_id: str
    parent: str
    trace_state: str
    start_ms: int
    duration_ns: int
    first_byte_ns: int  # since the start; 0 = there was none
    operation: str
    path: str
    model: str
    is_stream: bool
    status: int
    error: str
    outcome: str
    key_id: str
    organization: str
    provider: str = ""
    model_sent: str = ""
    model_reported: str = ""
    usage_source: str = ""
    attempts: int = 0
    cost_nanos: int = 0
    would_deny: str = ""
    usage: list[Usage] = field(default_factory=list)


def take(exchange: Exchange, now_ns: int) -> Finished:
    """Of an exchange that ends now (monotonic)."""
    route, policy = exchange.route, exchange.policy
    finished = Finished(
        exchange.id, exchange.trace_id, exchange.span_id or new_span_id(), exchange.parent_span, exchange.trace_state,
        exchange.received_at, now_ns - exchange.started_ns,
        exchange.first_byte_ns - exchange.started_ns if exchange.first_byte_ns else 0,
        exchange.operation, exchange.path,
        "" if route is None else route.model, route is not None and route.stream,
        exchange.status, _find_error(exchange), exchange.outcome.value,
        "" if policy is None else policy.key.id, "" if policy is None else policy.key.organization,
    )  # fmt: skip
    finished.would_deny = exchange.would_deny
    for attempt in exchange.attempts:
        finished.provider, finished.model_sent = attempt.target.provider, attempt.target.model
        finished.model_reported, finished.usage_source = attempt.reported_model, attempt.usage_source.value
        finished.attempts += 1
        finished.cost_nanos += attempt.charged_nanos
        finished.usage.append(attempt.usage)
    return finished


def new_span_id() -> str:
    return random_hex(8)


def make_span(finished: Finished, server: Server | None) -> Span:
    """`server` is the last attempt's; None if the settings do not have it any more."""
    operation = find_operation(finished.operation, finished.path)
    attributes: dict[str, Attribute] = {"gen_ai.operation.name": operation}
    _describe_provider(finished, server, attributes)
    if finished.model:
        attributes["gen_ai.request.model"] = finished.model
    if finished.model_reported:
        attributes["gen_ai.response.model"] = finished.model_reported
    if finished.is_stream:
        attributes["gen_ai.request.stream"] = True
        if finished.first_byte_ns:
            attributes["gen_ai.response.time_to_first_chunk"] = finished.first_byte_ns / 1e9
    for part, output_type in _OUTPUT_TYPES.items():
        if part in finished.path:
            attributes["gen_ai.output.type"] = output_type
    _describe_usage(finished.usage, attributes)
    if finished.error:
        attributes["error.type"] = finished.error
    attributes["http.response.status_code"] = finished.status
    attributes["gateway_proxy.request.id"] = finished.exchange_id
    attributes["gateway_proxy.outcome"] = finished.outcome
    attributes["gateway_proxy.attempts"] = finished.attempts
    if finished.key_id:
        attributes["gateway_proxy.key.id"] = finished.key_id
        attributes["gateway_proxy.organization"] = finished.organization
    if finished.would_deny:
        attributes["gateway_proxy.would_deny"] = finished.would_deny
    if finished.attempts:
        attributes["gateway_proxy.cost_usd"] = finished.cost_nanos / 1e9
        attributes["gateway_proxy.usage_source"] = finished.usage_source
    start_ns = finished.start_ms * 1_000_000
    return Span(
        f"{operation} {finished.model}".rstrip(), finished.trace_id, finished.span_id, finished.parent,
        finished.trace_state, start_ns, start_ns + finished.duration_ns, finished.error, attributes,
    )  # fmt: skip


def find_operation(operation: str, path: str) -> str:
    """The name by the conventions, or one like theirs."""
    for end, name in _BY_PATH.items():
        if path.endswith(end):
            return name
    return _OPERATIONS.get(operation, operation)


def find_provider(name: str, dialect: str) -> str:
    """The well-known name: by that of the settings, else by the dialect. `openai` is spoken by many: they keep theirs."""
    known = _PROVIDERS.get(name)
    if known is None and dialect != "openai":
        known = _PROVIDERS.get(dialect)
    return known or name


def _describe_provider(finished: Finished, server: Server | None, attributes: dict[str, Attribute]) -> None:
    if not finished.provider:
        attributes["gen_ai.provider.name"] = "gateway_proxy"  # it answered by itself
        return
    dialect = "" if server is None else server.dialect
    attributes["gen_ai.provider.name"] = find_provider(finished.provider, dialect or "openai")
    attributes["gateway_proxy.provider"] = finished.provider
    attributes["gateway_proxy.upstream_model"] = finished.model_sent
    if server is not None:
        attributes["server.address"], attributes["server.port"] = server.host, server.port


def _describe_usage(every: list[Usage], attributes: dict[str, Attribute]) -> None:
    if not every:
        return
    prefix = "gen_ai.usage"
    attributes[f"{prefix}.input_tokens"] = sum(usage.input_tokens() for usage in every)
    attributes[f"{prefix}.output_tokens"] = sum(usage.output_tokens() for usage in every)
    parts = {
        "cache_read.input_tokens": sum(usage.cached_input for usage in every),
        "cache_write.input_tokens": sum(usage.cache_write + usage.cache_write_1h for usage in every),
        "reasoning.output_tokens": sum(usage.reasoning for usage in every),
        "audio.input_tokens": sum(usage.audio_input for usage in every),
        "audio.output_tokens": sum(usage.audio_output for usage in every),
    }
    attributes.update({f"{prefix}.{name}": count for name, count in parts.items() if count})


def _find_error(exchange: Exchange) -> str:
    """Our own code, else the status that the provider answered; a client that left is no error."""
    if exchange.error is not None:
        return exchange.error.code
    if exchange.outcome is Outcome.CLIENT_GONE:
        return ""
    if exchange.status >= 400:
        return str(exchange.status)
    failed = exchange.outcome in (Outcome.REVOKED, Outcome.FAILED, Outcome.UPSTREAM_FAILED)
    return exchange.outcome.value if failed else ""
