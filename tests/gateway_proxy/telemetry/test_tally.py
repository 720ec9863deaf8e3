"""Counting what has ended: everything once, nothing twice, and no label without bounds."""

from typing import Any

from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.usage import Usage
from gateway_proxy.telemetry.exposition import Histogram
from gateway_proxy.telemetry.tally import MAX_CODES, MAX_MODELS, OTHER, SHOWN_FROM_START, Tally, format_nanos

LISTED = {"gpt", "claude"}


def make_tally() -> Tally:
    return Tally(LISTED.__contains__)


def request(**members: Any) -> LogRow:
    row: dict[str, Any] = {
        "request_id": "req_1", "at": 1, "gateway_id": "gtw_1", "operation": "chat", "model": "gpt", "provider": "openai",
        "status": 200, "outcome": "completed", "admitted": True, "latency_ms": 40,
    }  # fmt: skip
    return LogRow(**row | members)


def attempt(**members: Any) -> LedgerRow:
    row: dict[str, Any] = {
        "request_id": "req_1", "attempt": 1, "gateway_id": "gtw_1", "organization": "o", "key_id": "key_1",
        "provider": "openai", "model_requested": "gpt", "model_sent": "gpt", "operation": "chat", "admitted_at": 1,
        "outcome": "completed", "usage_source": "provider",
    }  # fmt: skip
    return LedgerRow(**row | members)


def test_each_request_is_counted_once() -> None:
    tally = make_tally()
    for row in (
        request(),
        request(),
        request(status=503, outcome="upstream_failed", error_code="upstream_timeout"),
    ):
        tally.note_request(row)
    tally.add_up()
    tally.note_request(request())
    for _ in range(2):
        sample = tally.sample()
        assert sample["gateway_proxy_requests_total"] == {
            ("chat", "openai", "gpt", "200", "completed"): 3,
            ("chat", "openai", "gpt", "503", "upstream_failed"): 1,
        }
        refusals = sample["gateway_proxy_refusals_total"]
        assert refusals == {(code,): int(code == "upstream_timeout") for code in SHOWN_FROM_START}


def test_what_is_refused_in_the_shadow_only_is_no_refusal() -> None:
    tally = make_tally()
    for would_deny in ("", "rate_limit_exceeded", "rate_limit_exceeded"):
        tally.note_request(request(would_deny=would_deny))
    sample = tally.sample()
    assert sample["gateway_proxy_shadow_refusals_total"] == {("rate_limit_exceeded",): 2}
    assert not any(sample["gateway_proxy_refusals_total"].values())
    assert sample["gateway_proxy_requests_total"] == {("chat", "openai", "gpt", "200", "completed"): 3}


def test_latency_is_of_admitted_requests_and_the_first_token_of_streams() -> None:
    tally = make_tally()
    tally.note_request(request(latency_ms=40, first_byte_ms=39))
    tally.note_request(request(latency_ms=9000, first_byte_ms=300, stream=True))
    tally.note_request(request(latency_ms=9000, first_byte_ms=None, stream=True))
    tally.note_request(request(latency_ms=1, admitted=False, status=429, outcome="denied"))
    sample = tally.sample()
    durations = sample["gateway_proxy_request_duration_seconds"]
    sums = {key: h.sum for key, h in durations.items() if isinstance(h, Histogram)}
    assert sums == {("openai", "gpt", "false"): 40, ("openai", "gpt", "true"): 18_000}
    (first,) = sample["gateway_proxy_time_to_first_token_seconds"].values()
    assert isinstance(first, Histogram) and (first.sum, sum(first.counts)) == (300, 1)


def test_tokens_and_cost_are_exact() -> None:
    tally = make_tally()
    usage = Usage(
        input=1,
        cached_input=2,
        cache_write=3,
        cache_write_1h=4,
        audio_input=5,
        output=6,
        reasoning=7,
        audio_output=8,
    )
    for _ in range(3):
        tally.note_attempt(attempt(usage=usage, charged_nanos=333_333_333))
    tally.note_attempt(attempt(outcome="client_gone", usage_source="estimated"))
    sample = tally.sample()
    tokens = {key[2]: value for key, value in sample["gateway_proxy_tokens_total"].items()}
    assert tokens == {
        "input": 3, "cached_input": 6, "cache_write": 9, "cache_write_1h": 12, "audio_input": 15, "output": 18,
        "reasoning": 21, "audio_output": 24,
    }  # fmt: skip
    assert sample["gateway_proxy_cost_usd_total"] == {("openai", "gpt"): "0.999999999"}
    assert sample["gateway_proxy_attempts_total"] == {
        ("openai", "completed", "provider"): 3,
        ("openai", "client_gone", "estimated"): 1,
    }


def test_names_that_clients_make_up_share_one_label() -> None:
    tally = make_tally()
    for number in range(50):
        tally.note_request(request(model=f"made-up-{number}", provider="", status=404, outcome="denied"))
        tally.note_attempt(attempt(model_requested=f"openai/made-up-{number}", charged_nanos=1))
    tally.note_request(request(model="", provider="", operation="", status=401, outcome="denied"))
    sample = tally.sample()
    assert sample["gateway_proxy_requests_total"] == {
        ("chat", "", OTHER, "404", "denied"): 50,
        ("none", "", "", "401", "denied"): 1,
    }
    assert list(sample["gateway_proxy_cost_usd_total"]) == [("openai", OTHER)]


def test_a_model_that_a_reload_takes_away_keeps_its_count() -> None:
    listed = {"gpt"}
    tally = Tally(listed.__contains__)
    tally.note_request(request())
    tally.add_up()
    listed.clear()
    tally.note_request(request())
    assert list(tally.sample()["gateway_proxy_requests_total"].values()) == [2]


def test_labels_are_bounded_whatever_the_catalogue_lists() -> None:
    tally = Tally(lambda name: True)
    for number in range(MAX_MODELS + 100):
        tally.note_request(request(model=f"m{number}", error_code=f"code_{number}"))
    sample = tally.sample()
    assert len(sample["gateway_proxy_requests_total"]) == MAX_MODELS + 1
    assert len(sample["gateway_proxy_refusals_total"]) == MAX_CODES + 1 + len(SHOWN_FROM_START)
    assert sum(sample["gateway_proxy_requests_total"].values()) == MAX_MODELS + 100  # type: ignore[arg-type]


def test_nanos_in_dollars() -> None:
    assert [format_nanos(n) for n in (0, 1, 10**9, 1_500_000_000, -1)] == [
        "0.000000000", "0.000000001", "1.000000000", "1.500000000", "-0.000000001",
    ]  # fmt: skip
