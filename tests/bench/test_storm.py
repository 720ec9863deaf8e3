"""The judge of the storm finds what it is there to find."""

from typing import Any

import pytest

from bench.storm import compare_request
from gateway_proxy.fake_provider.ledger import Entry
from tests.support.money import FLAT, cost_nanos


def entry(tokens: int, at: int = 1) -> Entry:
    return Entry(
        id=f"e{at}", at=at, request_id="req_1", billed=True, prompt_tokens=10, completion_tokens=tokens
    )


def bill(tokens: int) -> int:
    return cost_nanos(entry(tokens), FLAT)


def row(charged: int, source: str = "provider") -> dict[str, Any]:
    return {"usage_source": source, "charged_nanos": charged}


def faults(rows: list[dict[str, Any]], entries: list[Entry]) -> dict[str, int]:
    return {name: count for name, count in compare_request(rows, entries).items() if count}


@pytest.mark.parametrize(
    ("rows", "entries", "expected"),
    [
        ([row(bill(5))], [entry(5)], {}),
        ([row(bill(5) + 7, "estimated")], [entry(5)], {"estimated_excess": 7}),
        ([row(900_000, "estimated"), row(bill(5))], [entry(3), entry(5, 2)], {"estimated_excess": 900_000 - bill(3)}),
        ([row(0, "none"), row(bill(5))], [entry(5)], {}),
        ([row(800, "estimated"), row(bill(5))], [entry(5)], {"estimated_excess": 800}),
        ([], [entry(5)], {"unrecorded": 1, "undercharged": 1, "estimated_excess": -bill(5)}),
        ([row(bill(5))], [entry(5), entry(5, 2)], {"unrecorded": 1, "undercharged": 1, "estimated_excess": -bill(5)}),
        ([row(bill(5) + 1)], [entry(5)], {"misquoted": 1}),
        ([row(bill(5) - 1)], [entry(5)], {"misquoted": 1, "undercharged": 1}),
        ([row(bill(5)), row(bill(5))], [entry(5)], {"phantom": 1}),
        ([row(bill(5) - 1, "estimated")], [entry(5)], {"undercharged": 1, "estimated_excess": -1}),
    ],
)  # fmt: skip
def test_each_fault_is_counted(
    rows: list[dict[str, Any]], entries: list[Entry], expected: dict[str, int]
) -> None:
    assert faults(rows, entries) == expected
