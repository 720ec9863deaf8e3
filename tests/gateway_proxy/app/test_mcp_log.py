"""Rows on their way into the store."""

from typing import Any

import pytest

from gateway_proxy.app.mcp_log import McpLogBooks
from gateway_proxy.app.refusals import MAX_REFUSALS_PER_SECOND
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.storage.database import StoreError
from tests.support.mcp_rows import make_row


class FakeClock(Clock):
    now = 0

    def monotonic_ns(self) -> int:
        return self.now


class FakeTable:
    """Takes rows unless it is away."""

    def __init__(self) -> None:
        self.rows: list[McpLogRow] = []
        self.away = False

    async def add(self, rows: list[McpLogRow]) -> None:
        if self.away:
            raise StoreError("away")
        self.rows += rows


@pytest.fixture
def table() -> FakeTable:
    return FakeTable()


def make_books(table: Any, clock: Clock | None = None) -> McpLogBooks:
    books = McpLogBooks(table, clock or FakeClock())
    books.keeps = True
    return books


async def test_rows_wait_while_the_store_is_away(table: FakeTable) -> None:
    books = make_books(table)
    books.note(make_row("r1"))
    table.away = True
    with pytest.raises(StoreError):
        await books.flush()
    books.note(make_row("r2"))
    table.away = False
    await books.close()
    assert [row.request_id for row in table.rows] == ["r1", "r2"]


async def test_nothing_is_kept_where_the_settings_say_so(table: FakeTable) -> None:
    books = make_books(table)
    books.keeps = False
    books.note(make_row("r1"))
    await books.flush()
    assert table.rows == []


async def test_a_flood_of_refusals_is_logged_up_to_a_rate(table: FakeTable) -> None:
    clock = FakeClock()
    books = make_books(table, clock)
    for number in range(MAX_REFUSALS_PER_SECOND + 5):
        books.note(make_row(f"r{number}", status="denied"))
    books.note(make_row("good"))
    clock.now = 1_000_000_000
    books.note(make_row("later", status="denied"))
    await books.flush()
    assert len(table.rows) == MAX_REFUSALS_PER_SECOND + 2 and books.dropped == 5
