"""Headers cross the gateway by allow-list, both ways."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway_proxy.core.clock import FakeClock, format_time
from gateway_proxy.core.limiter import Claim, Meter
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.proxy.headers import (
    describe_limits,
    encode_ids,
    encode_upward,
    format_duration,
    pass_downward,
)
from tests.support.exchanges import make_exchange, make_policy


def pairs(lines: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in lines.split("\r\n")[:-1])


def test_upwards_only_what_is_harmless() -> None:
    headers = {
        "Authorization": "Bearer secret", "Cookie": "secret", "X-Api-Key": "secret", "OpenAI-Organization": "secret", "Host": "secret",
        "X-Forwarded-For": "secret", "Accept": "text/event-stream", "User-Agent": "a\u00ffb", "Idempotency-Key": "k" * 2000, "OpenAI-Beta": "x=1",
    }  # fmt: skip
    lines = encode_upward(CIMultiDictProxy(CIMultiDict(headers))).decode()
    assert pairs(lines) == {"accept": "text/event-stream", "openai-beta": "x=1"}


def test_our_own_ids_go_up() -> None:
    exchange = make_exchange(trace_id="0" * 31 + "1")
    lines = pairs(encode_ids(exchange).decode())
    assert lines["x-request-id"] == "req_1"
    assert lines["traceparent"] == f"00-{'0' * 31}1-{exchange.span_id}-01"
    assert "tracestate" not in lines
    assert b"tracestate: a=1\r\n" in encode_ids(make_exchange(trace_id="1" * 32, trace_state="a=1"))


def test_downwards_only_what_is_known() -> None:
    headers = [
        (b"content-type", b"application/json"), (b"set-cookie", b"a"), (b"location", b"b"), (b"x-request-id", b"up"), (b"server", b"c"),
        (b"x-ratelimit-limit-requests", b"5"), (b"content-length", b"9"), (b"transfer-encoding", b"chunked"), (b"retry-after", b"1"),
        (b"access-control-allow-origin", b"*"), (b"x-gateway-error", b"forged"), (b"content-disposition", b"\xe9"),
    ]  # fmt: skip
    passed = pairs(pass_downward(headers, own_rate_limits=True))
    assert passed == {
        "content-type": "application/json", "x-upstream-request-id": "up", "retry-after": "1", "content-disposition": "\u00e9",
    }  # fmt: skip
    assert pairs(pass_downward(headers, own_rate_limits=False))["x-ratelimit-limit-requests"] == "5"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (20, "20ms"),
        (1000, "1s"),
        (7660, "7.66s"),
        (360_000, "6m0s"),
        (3_723_000, "1h2m3s"),
        (59_999, "59.999s"),
    ],
)
def test_durations(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


def test_limits_as_they_stand() -> None:
    policy = make_policy(requests_per_minute=60, tokens_per_minute=100, budget_nanos=5 * 10**9)
    limiter = MemoryLimiter(FakeClock())
    limiter.update(policy.key)
    lines = pairs(describe_limits(make_exchange(policy), limiter))
    assert lines["x-ratelimit-limit-requests"] == lines["x-ratelimit-remaining-requests"] == "60"
    assert lines["x-ratelimit-limit-tokens"] == "100" and lines["x-ratelimit-reset-tokens"] == "0s"
    assert "x-gateway-budget-limit-usd" not in lines  # not known yet
    for job in limiter.begin_rebuilds([policy.key]):
        limiter.finish_rebuild(job, 10**9)
    lines = pairs(describe_limits(make_exchange(policy), limiter))
    assert (lines["x-gateway-budget-limit-usd"], lines["x-gateway-budget-remaining-usd"]) == ("5.00", "4.00")
    assert describe_limits(make_exchange(), limiter) == ""


def test_limits_in_anthropics_words_too() -> None:
    policy = make_policy(requests_per_minute=60, tokens_per_minute=100)
    clock = FakeClock()
    limiter = MemoryLimiter(clock)
    exchange = make_exchange(policy)
    exchange.dialect = "anthropic"
    limiter.acquire((Claim(policy.key.id, Meter.REQUESTS, policy.requests_rules[0][1], 30),))
    lines = pairs(describe_limits(exchange, limiter))
    assert lines["anthropic-ratelimit-requests-limit"] == "60"
    assert lines["anthropic-ratelimit-requests-remaining"] == lines["x-ratelimit-remaining-requests"] == "30"
    assert lines["anthropic-ratelimit-requests-reset"] == format_time(
        -(-(exchange.received_at + 30_000) // 1000) * 1000
    )
    assert lines["anthropic-ratelimit-tokens-remaining"] == "100"
    assert "anthropic-ratelimit-tokens-limit" not in pairs(describe_limits(make_exchange(policy), limiter))
