"""Shared by the tests of the books: rows, and a store in memory that keeps the protocol's promises."""

from collections.abc import Sequence

from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.core.usage import Rates, Usage

RATES = Rates(input=2_500_000_000, output=10_000_000_000, source="test", version="1")
ADMITTED_AT = 1_790_000_000_000


def make_row(number: int = 1, attempt: int = 1, **members) -> LedgerRow:
    return LedgerRow(
        **{
            "request_id": f"req_{number}", "attempt": attempt, "gateway_id": "gtw_1", "organization": "org_1",
            "key_id": "key_a", "parent_id": None, "owner": "ada@example.com", "provider": "openai",
            "model_requested": "gpt-4o", "model_sent": "gpt-4o-x", "operation": "chat",
            "admitted_at": ADMITTED_AT + number, "period": "total", "reserved_nanos": 1000 + number,
            "rates": RATES, **members,
        }
    )  # fmt: skip


def finish(row: LedgerRow, charged: int | None = None) -> LedgerRow:
    return row._replace(
        settled_at=row.admitted_at + 500,
        charged_nanos=row.reserved_nanos - 1 if charged is None else charged,
        usage_source="provider",
        outcome="completed",
        model_reported="gpt-4o-2026",
        usage=Usage(input=10, output=3, cached_input=2),
    )


def make_log(number: int) -> LogRow:
    return LogRow(request_id=f"req_{number}", at=ADMITTED_AT, gateway_id="gtw_1")


def make_event(number: int) -> EventRow:
    return EventRow(
        id=f"evt_{number}",
        type="budget.exceeded",
        at=1,
        organization="o",
        key_id="k",
        dedupe=f"d{number}",
        data={},
    )


class StoreDown(Exception):
    """As a store says that it cannot be reached."""


class MemoryStore:
    """LedgerStore in memory. `refuse` is asked before each batch and may raise."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], LedgerRow] = {}
        self.logs: dict[str, LogRow] = {}
        self.events: dict[str, EventRow] = {}
        self.reserved: dict[str, int] = {}
        self.cursors: dict[str, tuple[int, int]] = {}
        self.batches: list[Batch] = []
        self.refuse = lambda batch: None
        self.during = lambda: None

    async def append(self, gateway_id: str, batch: Batch, /) -> None:
        await self.append_and_sum(gateway_id, batch, ())

    async def append_and_sum(
        self, gateway_id: str, batch: Batch, windows: Sequence[tuple[str, int, int]], /
    ) -> list[int]:
        self.refuse(batch)
        self.batches.append(batch)
        for row in batch.ledger:
            self.rows.setdefault((row.request_id, row.attempt), row)
        for log in batch.logs:
            self.logs.setdefault(log.request_id, log)
        for event in batch.events:
            self.events.setdefault(event.dedupe, event)
        self.reserved.update(batch.reserved)
        if batch.cursor is not None:
            self.cursors[gateway_id] = batch.cursor
        sums = [
            sum(
                r.charged_nanos
                for r in self.rows.values()
                if r.key_id == key and start <= r.admitted_at < end
            )
            for key, start, end in windows
        ]
        self.during()
        return sums

    async def cursor(self, gateway_id: str, /) -> tuple[int, int] | None:
        return self.cursors.get(gateway_id)
