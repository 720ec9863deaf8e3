from typing import Any

from gateway_proxy.core.latency import find_bucket
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.usage import Usage
from gateway_proxy.storage.ledger_rows import SLOT_MS, STEP_MS, group_ledger, group_logs
from gateway_proxy.storage.ledger_sums import Sums


def make_attempt(admitted_at: int, **members: Any) -> LedgerRow:
    return LedgerRow(
        **{
            "request_id": f"req_{admitted_at}", "attempt": 1, "gateway_id": "gtw_1", "organization": "o",
            "key_id": "key_1", "provider": "p", "model_requested": "m", "model_sent": "n", "operation": "chat",
            "admitted_at": admitted_at, **members,
        }
    )  # fmt: skip


def test_sums_of_groups_are_the_sums_of_their_rows() -> None:
    usage = Usage(
        input=1, cached_input=2, cache_write=4, audio_input=8, output=16, reasoning=32, audio_output=64
    )
    sums = Sums()
    sums.add_attempts(
        group_ledger(
            [make_attempt(at, parent_id="key_p", charged_nanos=5, usage=usage) for at in (0, 1, SLOT_MS)]
        )
    )
    logs = [
        LogRow(request_id=str(at), at=at, gateway_id="g", organization="o", key_id="key_1", model="m", provider="p",
               admitted=at < 3, status={2: 500, 3: 429}.get(at, 200), latency_ms=at)
        for at in (1, 2, 3, 4)
    ]  # fmt: skip
    sums.add_requests(group_logs(logs, 1))
    assert list(sums.slot_rows()) == [("key_1", 0, 10), ("key_1", 1, 5), ("key_p", 0, 10), ("key_p", 1, 5)]
    assert list(sums.hourly_rows()) == [
        (0, "o", "key_1", "", "", "", 0, 0, 1, 0, 0, 0, 0, 0),
        (0, "o", "key_1", "", "p", "m", 2, 1, 0, 45, 6, 336, 15, 3),
    ]
    assert list(sums.stats_rows()) == [("key_1", "o", "", 2, 2, 0, 15), ("key_p", "o", "", 0, 0, 0, 15)]
    assert sums.minute_rows() == {
        ("key_id", "key_1", 0), ("owner", "", 0), ("model", "m", 0), ("provider", "p", 0), ("organization", "o", 0),
        ("status", "200", 0), ("status", "429", 0), ("status", "500", 0), ("error_code", "", 0),
    }  # fmt: skip


def test_the_timeline_has_each_step_for_its_owner_and_for_everybody() -> None:
    sums = Sums()
    attempts = [
        make_attempt(at, owner=owner, charged_nanos=10, usage=Usage(input=3, output=4))
        for at, owner in ((0, "ada"), (STEP_MS, "ada"), (STEP_MS, "bob"))
    ]
    sums.add_attempts(group_ledger(attempts))
    logs = [
        LogRow(request_id=str(n), at=at, gateway_id="g", organization="o", owner=owner, admitted=admitted, latency_ms=40,
               status=200 if admitted else 429)
        for n, (at, owner, admitted) in enumerate(((1, "ada", True), (STEP_MS, "bob", True), (2, "ada", False)))
    ]  # fmt: skip
    sums.add_requests(group_logs(logs, 1))
    assert sorted(sums.timeline_rows()) == [
        (STEP_MS, "o", "*", 0, 1, 0, 1, 3, 4, 10),
        (STEP_MS, "o", "*", STEP_MS, 1, 0, 0, 6, 8, 20),
        (STEP_MS, "o", "ada", 0, 1, 0, 1, 3, 4, 10),
        (STEP_MS, "o", "ada", STEP_MS, 0, 0, 0, 3, 4, 10),
        (STEP_MS, "o", "bob", STEP_MS, 1, 0, 0, 3, 4, 10),
    ]
    bucket = find_bucket(40)
    assert sorted(sums.latency_rows()) == [
        (STEP_MS, "o", "*", 0, bucket, 1),
        (STEP_MS, "o", "*", STEP_MS, bucket, 1),
        (STEP_MS, "o", "ada", 0, bucket, 1),
        (STEP_MS, "o", "bob", STEP_MS, bucket, 1),
    ]
