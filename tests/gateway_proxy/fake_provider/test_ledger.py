"""The books: joined, append-only, a torn end ignored, anything else refused."""

from pathlib import Path

import pytest

from gateway_proxy.fake_provider.ledger import Ledger, read_ledger, total_tokens

BILL = {
    "outcome": "complete",
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "cached_tokens": 2,
    "reasoning_tokens": 1,
}


def test_accepted_and_billed_lines_join(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(
        "accepted", {"id": "a", "model": "m", "headers": {"x-request-id": "req_1"}, "request_id": "req_1"}
    )
    ledger.append("accepted", {"id": "b", "model": "m"})
    ledger.append("billed", {"id": "a", **BILL})
    ledger.close()
    first, second = read_ledger(ledger.path)
    assert (first.request_id, first.billed, first.prompt_tokens, first.completion_tokens) == (
        "req_1",
        True,
        7,
        3,
    )
    assert first.billed_at is not None
    assert first.billed_at >= first.at
    assert not second.billed
    totals = total_tokens([first, second])
    assert (totals.requests, totals.prompt_tokens, totals.completion_tokens) == (1, 7, 3)
    assert (totals.cached_tokens, totals.reasoning_tokens) == (2, 1)


def test_a_second_run_appends(tmp_path: Path) -> None:
    for name in "ab":
        ledger = Ledger(tmp_path / "ledger")
        ledger.append("accepted", {"id": name})
        ledger.close()
    assert [entry.id for entry in read_ledger(tmp_path / "ledger")] == ["a", "b"]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b'{"event":"accepted","id":"a","at":1}\n{"event":"billed","id":"a","pro')
    assert [entry.billed for entry in read_ledger(path)] == [False]


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b'{"event":"billed","id":"unheard of","at":1}',
        b'{"event":"billed","id":"a","at":1}',
        b"[]",
    ],
)
def test_a_line_that_makes_no_sense_is_an_error_with_its_number(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(
        b'{"event":"accepted","id":"a","at":1}\n{"event":"billed","id":"a","at":1}\n' + line + b"\n"
    )
    with pytest.raises(ValueError, match=":3: not a ledger line"):
        read_ledger(path)
