from typing import Any

import orjson

from gateway_proxy.core.exchange import Outcome
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.usage import Rates, Usage
from gateway_proxy.storage import ledger_rows
from gateway_proxy.storage.ledger_rows import (
    LEDGER_COLUMNS,
    LOG_COLUMNS,
    SLOT_MS,
    cap_numbers,
    group_ledger,
    group_logs,
    rates_json,
    tuple_to_ledger,
)


def make_attempt(admitted_at: int, **members: Any) -> LedgerRow:
    return LedgerRow(
        **{
            "request_id": f"req_{admitted_at}", "attempt": 1, "gateway_id": "gtw_1", "organization": "o",
            "key_id": "key_1", "provider": "p", "model_requested": "m", "model_sent": "n", "operation": "chat",
            "admitted_at": admitted_at, **members,
        }
    )  # fmt: skip


def test_every_field_has_its_column() -> None:
    log = LogRow(request_id="req_1", at=1, gateway_id="gtw_1", key_id="key_1", status=200)
    [(shared, [own])] = group_logs([log], 7).items()
    values = dict(zip(LOG_COLUMNS, shared[:-1] + own, strict=True))
    assert values.pop("seq") == 7
    assert LogRow(**values) == log


def test_a_ledger_row_survives_the_way_there_and_back() -> None:
    row = make_attempt(5, attempt=2, usage=Usage(*range(1, 14)), rates=Rates(input=3, source="config"))
    [(shared, [own])] = group_ledger([row]).items()
    assert len(shared[:-1] + own) == len(LEDGER_COLUMNS)
    assert tuple_to_ledger(shared[:-1] + own) == row


def test_rows_that_differ_in_their_own_values_alone_stand_in_one_group() -> None:
    rows = [make_attempt(at, charged_nanos=at) for at in (1, 2, SLOT_MS)]
    other = make_attempt(3, key_id="key_2", outcome=Outcome.COMPLETED)
    assert [len(group) for group in group_ledger([*rows, other]).values()] == [2, 1, 1]
    logs = [LogRow(request_id=str(at), at=at, gateway_id="g", latency_ms=at) for at in (1, 2, 60_000)]
    groups = group_logs(logs, 10)
    assert [[own[1] for own in group] for group in groups.values()] == [[10, 11], [12]]


def test_rates_are_written_without_zeros_and_never_confused() -> None:
    texts = [rates_json(Rates(input=number, source="s")) for number in range(1, 50)]
    assert [orjson.loads(text) for text in texts] == [{"input": n, "source": "s"} for n in range(1, 50)]


def test_capping_leaves_ordinary_values_alone() -> None:
    assert cap_numbers(("x", None, True, 5, -(2**60), 2**80)) == ("x", None, True, 5, -(2**60), 10**17)


def test_rates_of_earlier_revisions_are_let_go() -> None:
    for number in range(1, 1000):
        assert rates_json(Rates(input=number, source="s"))
    # Every reload brings new objects; those of a thousand reloads must not stay.
    assert 0 < len(ledger_rows._rates_seen) <= 256
