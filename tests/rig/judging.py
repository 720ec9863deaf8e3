"""Both parties' books over one key, compared: what the provider accepted and bills, what our ledger has, what was refused.

A request has one attempt here, so that it has one row. Times are Unix milliseconds of one machine.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from bench.storm import compare_request
from tests.support.fake_provider import Entry
from tests.support.money import FLAT, by_request, cost_nanos

__all__ = ["ROWS", "Books", "Refusal", "compare_books"]

ROWS = (
    "SELECT request_id, admitted_at, settled_at, reserved_nanos, charged_nanos, usage_source, outcome "
    "FROM ledger WHERE key_id = $1"
)
TELLING_MS = 3000  # from the end of a request until the counters have surely heard of it


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that the budget cannot pay `needed`."""

    sent_at: int
    answered_at: int
    needed: int


@dataclasses.dataclass(frozen=True)
class Books:
    """In nano-USD, or counts."""

    rows: int
    accepted: int  # by the provider
    billed: int  # by the provider
    charged: int  # in our ledger
    orphans: int  # rows of attempts that were cut with their gateway
    unrecorded: int  # accepted requests without a row
    doubled: int  # rows of a request beyond its first
    misquoted: int  # rows with the provider's usage that are not its bill, or nobody's
    unexplained: int  # the difference that is not in rows marked `estimated`
    over: tuple[int, ...]  # what rows were charged beyond what was reserved for them, the largest first
    unpaid: int  # bills beyond the charge of requests that were cut with their gateway
    unjust: int  # refusals of what could have been paid


def compare_books(
    rows: Sequence[Sequence[Any]], entries: Iterable[Entry], refusals: Iterable[Refusal], cap: int
) -> Books:
    """`rows` are those of `ROWS`."""
    names = (
        "request_id",
        "admitted_at",
        "settled_at",
        "reserved",
        "charged_nanos",
        "usage_source",
        "outcome",
    )
    mine = [dict(zip(names, row, strict=True)) for row in rows]
    ours, bills = by_request(mine), by_request(entries)
    found = [compare_request(ours.get(name, []), bills.get(name, [])) for name in {*ours, *bills}]
    billed = {name: sum(cost_nanos(entry, FLAT) for entry in group) for name, group in bills.items()}
    charged = sum(row["charged_nanos"] for row in mine)
    orphans = [row for row in mine if row["outcome"] == "orphaned"]
    excess = sum(one["estimated_excess"] for one in found)
    return Books(
        rows=len(mine),
        accepted=sum(map(len, bills.values())),
        billed=sum(billed.values()),
        charged=charged,
        orphans=len(orphans),
        unrecorded=sum(one["unrecorded"] for one in found),
        doubled=sum(len(group) - 1 for group in ours.values()),
        misquoted=sum(one["misquoted"] + one["phantom"] for one in found),
        unexplained=abs(charged - sum(billed.values()) - excess),
        over=tuple(sorted((max(0, row["charged_nanos"] - row["reserved"]) for row in mine), reverse=True)),
        unpaid=sum(max(0, billed.get(row["request_id"], 0) - row["charged_nanos"]) for row in orphans),
        unjust=sum(not _is_just(refusal, mine, cap) for refusal in refusals),
    )


def _is_just(refusal: Refusal, rows: list[dict[str, Any]], cap: int) -> bool:
    """Whether settled, open and needed may have been more than the cap at any moment between question and answer."""
    taken = sum(
        row["charged_nanos"]
        if row["settled_at"] < refusal.sent_at - TELLING_MS
        else max(row["reserved"], row["charged_nanos"])
        for row in rows
        if row["admitted_at"] <= refusal.answered_at
    )
    return taken + refusal.needed > cap
