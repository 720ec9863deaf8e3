"""Headers across the gateway: what of the client's goes up, what of the provider's comes down, what is ours.

Both ways are allow-lists: a client can never set a credential or choose an account at the provider, and a
provider can set no cookie, framing or security policy at the client.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from multidict import CIMultiDictProxy

from gateway_proxy.core.clock import format_time
from gateway_proxy.core.errors import GatewayError
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import BucketState, BudgetState, Counters, CounterUnknown, Meter, Remainder
from gateway_proxy.core.money import format_usd
from gateway_proxy.core.policy import BucketRules, Budgets, KeyPolicy
from gateway_proxy.proxy.answers import header_line
from gateway_proxy.proxy.trace import new_span_id
from gateway_proxy.proxy.upstream import UpstreamResponse

_REQUESTS = Meter.REQUESTS
_TOKENS = Meter.TOKENS
MAX_UPWARD_CHARACTERS = 1024
_UPWARDS = (
    "accept", "user-agent", "openai-beta", "anthropic-version", "anthropic-beta", "idempotency-key", "x-client-request-id",
)  # fmt: skip
# Name at the provider → the beginning of the line for the client.
_DOWNWARDS = {
    name.encode(): f"{name}: "
    for name in (
        "content-type", "content-disposition", "content-language", "retry-after", "retry-after-ms", "openai-version",
        "openai-processing-ms", "openai-model", "x-should-retry", "cache-control",
    )
} | dict.fromkeys((b"x-request-id", b"request-id"), "x-upstream-request-id: ")  # fmt: skip
_RATE_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")
_format_limit = lru_cache(maxsize=4096)(format_usd)  # a key's limit is the same each time
_format_second = lru_cache(maxsize=256)(
    lambda second: format_time(second * 1000)
)  # many answers fall into one


def is_plain(value: str) -> bool:
    """Visible ASCII and blanks only: safe to copy into another head, a log or a row."""
    return value.isascii() and value.isprintable()


def encode_upward(headers: "CIMultiDictProxy[str]") -> bytes:
    """The client's harmless headers as lines of an upstream request head."""
    pairs = [(name, headers.get(name)) for name in _UPWARDS]
    return "".join(
        f"{name}: {value}\r\n"
        for name, value in pairs
        if value is not None and is_plain(value) and len(value) <= MAX_UPWARD_CHARACTERS
    ).encode("ascii")


def encode_ids(exchange: Exchange) -> bytes:
    """Our own ids, as further lines: all attempts are below one span."""
    exchange.span_id = span_id = new_span_id()
    span = f"00-{exchange.trace_id}-{span_id}-{exchange.trace_flags}"
    state = f"tracestate: {exchange.trace_state}\r\n" if exchange.trace_state else ""
    return f"x-request-id: {exchange.id}\r\ntraceparent: {span}\r\n{state}".encode("ascii")


def pass_downward(
    headers: Iterable[tuple[bytes, bytes]], *, own_rate_limits: bool, replaced: frozenset[bytes] = frozenset()
) -> str:
    """The lines of the provider's head that the client may see, without those that are `replaced`.

    Its rate limits pass where the key has none of its own. The parser let no control character through.
    """
    passed = ""
    for name, value in headers:
        line = _DOWNWARDS.get(name)
        if line is None:
            if own_rate_limits or not name.startswith(_RATE_PREFIXES):
                continue
            line = f"{name.decode('ascii')}: "
        elif name in replaced:
            continue
        passed += f"{line}{value.decode('latin-1')}\r\n"
    return passed


def describe_refusal(error: GatewayError) -> str:
    """The lines of a refusal of our own, but for the type of its body."""
    lines = header_line("x-gateway-error", error.code)
    if error.status == 401:
        lines += "www-authenticate: Bearer\r\n"
    if error.retry_after_ms is not None:
        seconds = -(-error.retry_after_ms // 1000)
        lines += f"retry-after: {seconds}\r\nretry-after-ms: {error.retry_after_ms}\r\n"
    if error.should_retry is False:
        lines += "x-should-retry: false\r\n"
    return lines


class ShapeNote(NamedTuple):
    """What is the same about all answers with heads of one shape; None: it differs."""

    is_event_stream: bool | None
    is_encoded: bool | None
    format: str  # of `pass_downward`, with a place for each of the values that vary and may pass
    places: tuple[int, ...]


def find_note(response: UpstreamResponse, *, own_rate_limits: bool) -> ShapeNote | None:
    """What is known of this answer's head; None for a head of no known shape."""
    shape = response.shape
    if shape is None:
        return None
    note: ShapeNote | None = shape.notes.get(own_rate_limits)
    if note is None:
        parts, passed, places = shape.parts(), "", []
        varying = [name for name, value in parts if value is None]
        for name, value in parts:
            line = pass_downward(
                [(name, b"%s" if value is None else value.replace(b"%", b"%%"))],
                own_rate_limits=own_rate_limits,
            )
            if line and value is None:
                places.append(varying.index(name))
            passed += line
        known = dict(parts)
        note = ShapeNote(
            None if known.get(b"content-type", b"") is None else is_event_stream(known.get(b"content-type")),
            None
            if known.get(b"content-encoding", b"") is None
            else is_encoded(known.get(b"content-encoding")),
            passed,
            tuple(places),
        )
        shape.notes[own_rate_limits] = note
    return note


def fill(note: ShapeNote, values: tuple[bytes, ...]) -> str:
    """As `pass_downward` of the whole head."""
    places = note.places
    if len(places) == 1:
        return note.format % values[places[0]].decode("latin-1")
    return note.format % tuple([values[place].decode("latin-1") for place in places])


def is_event_stream(content_type: bytes | None) -> bool:
    """Whether an answer of this type is a stream of server-sent events."""
    return content_type is not None and content_type.lower().startswith(b"text/event-stream")


def is_encoded(content_encoding: bytes | None) -> bool:
    """Whether an answer is compressed, unasked."""
    return content_encoding is not None and content_encoding.strip().lower() != b"identity"


def describe_limits(exchange: Exchange, limiter: Counters) -> str:
    """The lines `x-ratelimit-*` and `x-gateway-budget-*` of the key, as they stand now; of a token and its parent
    the tighter. Anthropic's clients find the limits under the names that they know as well."""
    policy = exchange.policy
    if policy is None:
        return ""
    if policy.parent is None:
        key, requests, tokens = policy.key, policy.requests_rule, policy.tokens_rule
        left = limiter.find_remainder(key, requests, tokens)
        requests_limit = None if requests is None else requests.per_minute
        tokens_limit = None if tokens is None else tokens.per_minute
        budget_limit = key.budget_nanos
    else:
        requests_limit, tokens_limit, budget_limit, left = _find_tightest(limiter, policy)
    requests_left, requests_ms, tokens_left, tokens_ms, nanos = left
    is_anthropic = exchange.dialect == "anthropic"
    lines = ""
    if requests_limit is not None:
        lines = (
            f"x-ratelimit-limit-requests: {requests_limit}\r\nx-ratelimit-remaining-requests: {requests_left}\r\n"
            f"x-ratelimit-reset-requests: {format_duration(requests_ms) if requests_ms else '0s'}\r\n"
        )
        if is_anthropic:
            full_at = exchange.received_at + requests_ms
            lines += _describe_as_anthropic("requests", requests_limit, requests_left, full_at)
    if tokens_limit is not None:
        lines += (
            f"x-ratelimit-limit-tokens: {tokens_limit}\r\nx-ratelimit-remaining-tokens: {tokens_left}\r\n"
            f"x-ratelimit-reset-tokens: {format_duration(tokens_ms) if tokens_ms else '0s'}\r\n"
        )
        if is_anthropic:
            full_at = exchange.received_at + tokens_ms
            lines += _describe_as_anthropic("tokens", tokens_limit, tokens_left, full_at)
    if nanos is not None and budget_limit is not None:
        lines += (
            f"x-gateway-budget-limit-usd: {_format_limit(budget_limit)}\r\n"
            f"x-gateway-budget-remaining-usd: {format_usd(nanos)}\r\n"
        )
    return lines


def _find_tightest(
    limiter: Counters, policy: KeyPolicy
) -> tuple[int | None, int | None, int | None, Remainder]:
    """Of a token and its parent: requests and tokens per minute, the budget, and what is left of these."""
    requests_limit = tokens_limit = budget_limit = nanos = None
    requests_left = requests_ms = tokens_left = tokens_ms = 0
    if rules := policy.requests_rules:
        requests_limit, requests_left, requests_ms = find_tightest_bucket(limiter, _REQUESTS, rules)
    if rules := policy.tokens_rules:
        tokens_limit, tokens_left, tokens_ms = find_tightest_bucket(limiter, _TOKENS, rules)
    if policy.budgets and (budget := find_tightest_budget(limiter, policy.budgets)[1]) is not None:
        budget_limit, nanos = budget.limit_nanos, budget.remaining_nanos
    left = requests_left, requests_ms, tokens_left, tokens_ms, nanos
    return requests_limit, tokens_limit, budget_limit, left


def _describe_as_anthropic(kind: str, limit: int, remaining: int, full_at: int) -> str:
    """As Anthropic writes limits: https://docs.claude.com/en/api/rate-limits#response-headers."""
    name = f"anthropic-ratelimit-{kind}"
    reset = _format_second(-(-full_at // 1000))
    return f"{name}-limit: {limit}\r\n{name}-remaining: {remaining}\r\n{name}-reset: {reset}\r\n"


def find_tightest_bucket(limiter: Counters, meter: Meter, rules: BucketRules) -> BucketState:
    """Of at least one bucket the one with least in it."""
    states = [limiter.bucket_state(key_id, meter, rule) for key_id, rule in rules]
    return min(states, key=lambda state: state.remaining)


def find_tightest_budget(limiter: Counters, budgets: Budgets) -> tuple[Key, BudgetState | None]:
    """Of at least one budget the one with least left, and whose it is; None while one of them is not known."""
    states = [(key, find_budget(limiter, key)) for key, _ in budgets]
    return min(states, key=lambda found: -1 if found[1] is None else found[1].remaining_nanos)


def find_budget(limiter: Counters, key: Key) -> BudgetState | None:
    """The budget as it stands; None without one, and while its counter is not known."""
    try:
        return limiter.budget_state(key)
    except CounterUnknown:
        return None


def format_duration(milliseconds: int) -> str:
    """A duration as OpenAI writes it: `0s`, `20ms`, `7.66s`, `6m0s`, `1h2m3s`."""
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    whole, rest = divmod(rest, 1000)
    seconds = f"{whole}.{rest:03d}".rstrip("0") if rest else f"{whole}"
    if not minutes:
        return f"{seconds}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"
