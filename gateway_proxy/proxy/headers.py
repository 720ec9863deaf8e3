"""Headers across the gateway: what of the client's goes up, what of the provider's comes down, what is ours.

Both ways are allow-lists: a client can never set a credential or choose an account at the provider, and a
provider can set no cookie, framing or security policy at the client.
"""

from collections.abc import Iterable

from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import BudgetState, CounterUnknown, Limiter, Meter
from gateway_proxy.core.money import format_usd
from gateway_proxy.proxy.trace import make_traceparent

_REQUESTS = Meter.REQUESTS
_TOKENS = Meter.TOKENS
_UPWARDS = ("accept", "user-agent", "openai-beta", "idempotency-key", "x-client-request-id")
_DOWNWARDS = frozenset(
    (b"content-type", b"content-disposition", b"content-language", b"retry-after", b"retry-after-ms", b"openai-version",
     b"openai-processing-ms", b"openai-model", b"x-should-retry", b"cache-control")
)  # fmt: skip
_RATE_PREFIX = b"x-ratelimit-"


_remembered: dict[tuple[str | None, ...], bytes] = {}
MAX_REMEMBERED = 1024


def is_plain(value: str) -> bool:
    """Visible ASCII and blanks only: safe to copy into another head, a log or a row."""
    return value.isascii() and value.isprintable()


def encode_upward(exchange: Exchange) -> bytes:
    """The client's harmless headers and our own ids, as lines of an upstream request head."""
    get = exchange.headers.get
    values = (
        get("accept"),
        get("user-agent"),
        get("openai-beta"),
        get("idempotency-key"),
        get("x-client-request-id"),
    )
    lines = _remembered.get(values)
    if lines is None:
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        pairs = zip(_UPWARDS, values, strict=True)
        lines = "".join(
            f"{name}: {value}\r\n"
            for name, value in pairs
            if value is not None and is_plain(value) and len(value) <= 1024
        ).encode("ascii")
        _remembered[values] = lines
    ids = f"x-request-id: {exchange.id}\r\ntraceparent: {make_traceparent(exchange.trace_id, exchange.trace_flags)}\r\n"
    if exchange.trace_state:
        ids += f"tracestate: {exchange.trace_state}\r\n"
    return lines + ids.encode("ascii")


def pass_downward(headers: Iterable[tuple[bytes, bytes]], *, own_rate_limits: bool) -> list[tuple[str, str]]:
    """The provider's headers that the client may see. Its rate limits pass where the key has none of its own."""
    passed = []
    for name, value in headers:
        if name in _DOWNWARDS or (not own_rate_limits and name.startswith(_RATE_PREFIX)):
            passed.append((name.decode("ascii"), value.decode("latin-1")))
        elif name == b"x-request-id":
            passed.append(("x-upstream-request-id", value.decode("latin-1")))
    return passed


def describe_limits(exchange: Exchange, limiter: Limiter) -> list[tuple[str, str]]:
    """`x-ratelimit-*` and `x-gateway-budget-*` of the key, as they stand now."""
    policy = exchange.policy
    if policy is None:
        return []
    lines: list[tuple[str, str]] = []
    key_id = policy.key.id
    if (rule := policy.requests_rule) is not None:
        limit, remaining, reset_ms = limiter.bucket_state(key_id, _REQUESTS, rule)
        lines += (
            ("x-ratelimit-limit-requests", str(limit)),
            ("x-ratelimit-remaining-requests", str(remaining)),
            ("x-ratelimit-reset-requests", format_duration(reset_ms)),
        )
    if (rule := policy.tokens_rule) is not None:
        limit, remaining, reset_ms = limiter.bucket_state(key_id, _TOKENS, rule)
        lines += (
            ("x-ratelimit-limit-tokens", str(limit)),
            ("x-ratelimit-remaining-tokens", str(remaining)),
            ("x-ratelimit-reset-tokens", format_duration(reset_ms)),
        )
    if policy.budget_rule is not None and (budget := find_budget(limiter, policy.key)) is not None:
        lines += (
            ("x-gateway-budget-limit-usd", format_usd(budget.limit_nanos)),
            ("x-gateway-budget-remaining-usd", format_usd(budget.remaining_nanos)),
        )
    return lines


def find_budget(limiter: Limiter, key: Key) -> BudgetState | None:
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
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    if not minutes:
        return f"{seconds}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"
