"""The books as the data plane sees them: every admitted request is logged, refusals within bounds."""

from types import SimpleNamespace
from typing import Any

from gateway_proxy.app.books import GatewayBooks
from gateway_proxy.app.refusals import MAX_REFUSALS_PER_SECOND
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.limits.budget import BudgetEvent
from gateway_proxy.telemetry.tally import Tally
from tests.support.books import make_row


class Writer:
    healthy = True

    def __init__(self) -> None:
        self.logs: list[LogRow] = []
        self.events: list[EventRow] = []
        self.intents: list[LedgerRow] = []
        self.log, self.event, self.intent = self.logs.append, self.events.append, self.intents.append
        self.settled: list[LedgerRow] = []
        self.settle = self.settled.append


def make_books(*events: BudgetEvent) -> tuple[GatewayBooks, Writer, FakeClock]:
    writer, clock, waiting = Writer(), FakeClock(), list(events)

    def take() -> list[BudgetEvent]:
        taken = waiting[:]
        waiting.clear()
        return taken

    limiter: Any = SimpleNamespace(take_events=take, events=())
    books = GatewayBooks(writer, limiter, KeyDirectory(), clock, Tally(lambda name: True))  # type: ignore[arg-type]
    return books, writer, clock


def row(*, admitted: bool) -> LogRow:
    return LogRow(request_id="req_1", at=1, gateway_id="gtw_1", admitted=admitted)


def test_a_flood_of_refusals_is_cut_second_by_second() -> None:
    books, writer, clock = make_books()
    for _ in range(MAX_REFUSALS_PER_SECOND * 3):
        books.log(row(admitted=False))
    assert len(writer.logs) == MAX_REFUSALS_PER_SECOND
    for _ in range(500):
        books.log(row(admitted=True))
    assert len(writer.logs) == MAX_REFUSALS_PER_SECOND + 500
    clock.advance(1)
    books.log(row(admitted=False))
    assert len(writer.logs) == MAX_REFUSALS_PER_SECOND + 501
    assert books.unlogged_refusals == MAX_REFUSALS_PER_SECOND * 2


def test_what_is_not_logged_is_counted_all_the_same() -> None:
    books, writer, _ = make_books()
    noted: list[LogRow] = []
    books._note_request = noted.append
    books.log_requests = False
    books.log(row(admitted=True))
    assert not writer.logs and len(noted) == 1


def test_events_name_what_was_reached() -> None:
    event = BudgetEvent(
        kind="budget.threshold",
        key_id="key_a",
        percent=80,
        period="total",
        limit_nanos=10**9,
        spent_nanos=8 * 10**8,
    )
    books, writer, _ = make_books(event)
    books.collect_events()
    books.collect_events()
    (told,) = writer.events
    assert (told.type, told.dedupe, told.data["percent"]) == ("budget.threshold", event.dedupe, 80)
    assert (told.data["limit_usd"], told.data["spent_usd"]) == ("1.00", "0.80")


def test_rows_are_shared_with_sinks() -> None:
    books, writer, _ = make_books()
    shared: list[LedgerRow | LogRow] = []
    ledger_row = make_row(1)
    books.share(shared.append, keep_logs=True)
    books.settle(ledger_row)
    books.log(row(admitted=True))
    assert shared == [ledger_row, row(admitted=True)]
    assert (writer.settled, len(writer.logs)) == ([ledger_row], 1)
    books.share(shared.append, keep_logs=False)
    books.log(row(admitted=True))
    assert (len(shared), len(writer.logs)) == (3, 1)
    for _ in range(MAX_REFUSALS_PER_SECOND * 2):
        books.log(row(admitted=False))
    assert len(shared) == 3 + MAX_REFUSALS_PER_SECOND
    books.share(None, keep_logs=True)
    books.log(row(admitted=True))
    assert (len(shared), len(writer.logs)) == (3 + MAX_REFUSALS_PER_SECOND, 2)
