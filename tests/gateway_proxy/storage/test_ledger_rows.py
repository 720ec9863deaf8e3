import orjson

from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.usage import Rates, Usage
from gateway_proxy.storage import ledger_rows
from gateway_proxy.storage.ledger_rows import (
    LEDGER_COLUMNS,
    LOG_COLUMNS,
    cap_numbers,
    ledger_tuple,
    log_tuple,
    rates_json,
    tuple_to_ledger,
)


def test_every_field_has_its_column() -> None:
    log = LogRow(request_id="req_1", at=1, gateway_id="gtw_1", key_id="key_1", status=200)
    values = dict(zip(LOG_COLUMNS, log_tuple(log, 7), strict=True))
    assert values.pop("seq") == 7
    assert LogRow(**values) == log


def test_a_ledger_row_survives_the_way_there_and_back() -> None:
    row = LedgerRow(
        request_id="req_1", attempt=2, gateway_id="gtw_1", organization="o", key_id="key_1", provider="p",
        model_requested="m", model_sent="n", operation="chat", admitted_at=5, usage=Usage(*range(1, 14)),
        rates=Rates(input=3, source="config"),
    )  # fmt: skip
    assert len(ledger_tuple(row)) == len(LEDGER_COLUMNS)
    assert tuple_to_ledger(ledger_tuple(row)) == row


def test_rates_are_written_without_zeros_and_never_confused() -> None:
    texts = [rates_json(Rates(input=number, source="s")) for number in range(1, 50)]
    assert [orjson.loads(text) for text in texts] == [{"input": n, "source": "s"} for n in range(1, 50)]


def test_capping_leaves_ordinary_values_alone() -> None:
    assert cap_numbers(("x", None, True, 5, -(2**60), 2**80)) == ("x", None, True, 5, -(2**60), 10**17)


def test_rates_of_earlier_revisions_are_let_go() -> None:
    for number in range(1, 1000):
        assert rates_json(Rates(input=number, source="s"))
    # A thousand reloads of 900 good files once held 900 of them: several MiB that nothing used.
    assert 0 < len(ledger_rows._rates_seen) <= 256
