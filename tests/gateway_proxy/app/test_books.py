"""The books as the data plane sees them: refusals are rate-bounded, budget events reach the outbox described."""

from typing import Any

import pytest

from gateway_proxy.app.books import MAX_REFUSALS_PER_SECOND, GatewayBooks
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.core.ledger import EventRow, LogRow
from gateway_proxy.core.limiter import Claim, LimitExceeded, Meter, budget_rule
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.limits.memory import MemoryLimiter


class Writer:
    """Takes what the books hand on."""

    healthy = True

    def __init__(self) -> None:
        self.logs: list[LogRow] = []
        self.events: list[EventRow] = []

    def log(self, row: LogRow) -> None:
        self.logs.append(row)

    def event(self, row: EventRow) -> None:
        self.events.append(row)


def make_books(key: Key) -> tuple[GatewayBooks, Writer, MemoryLimiter, FakeClock]:
    clock, writer, directory = FakeClock(), Writer(), KeyDirectory()
    limiter = MemoryLimiter(clock)
    directory.apply([KeyRecord(key.id, key)])
    stand_in: Any = writer
    return GatewayBooks(stand_in, limiter, directory, clock), writer, limiter, clock


def make_key(**members: Any) -> Key:
    return Key(id="key_1", name="Ada's", organization="default", owner="ada@example.com", **members)


def refusal(number: int) -> LogRow:
    return LogRow(request_id=f"req_{number}", at=0, gateway_id="gtw_1", status=401, admitted=False)


def test_a_flood_of_refusals_is_bounded_and_the_next_second_is_new() -> None:
    books, writer, _, clock = make_books(make_key())
    for number in range(3 * MAX_REFUSALS_PER_SECOND):
        books.log(refusal(number))
    assert len(writer.logs) == MAX_REFUSALS_PER_SECOND
    clock.advance(1.0)
    books.log(refusal(9999))
    assert len(writer.logs) == MAX_REFUSALS_PER_SECOND + 1


def test_admitted_requests_are_always_logged() -> None:
    books, writer, _, _ = make_books(make_key())
    for number in range(2 * MAX_REFUSALS_PER_SECOND):
        books.log(LogRow(request_id=f"req_{number}", at=0, gateway_id="gtw_1", status=200, admitted=True))
    assert len(writer.logs) == 2 * MAX_REFUSALS_PER_SECOND


def test_the_first_refusal_for_budget_becomes_an_event_with_the_keys_name() -> None:
    key = make_key(budget_nanos=1_000_000_000)
    books, writer, limiter, _ = make_books(key)
    for job in limiter.begin_rebuilds([key]):
        limiter.finish_rebuild(job, 900_000_000)
    limiter.update(key)
    rule = budget_rule(key)
    assert rule is not None
    with pytest.raises(LimitExceeded):
        limiter.acquire((Claim(key.id, Meter.NANOS, rule, 200_000_000),))
    books.collect_events()
    (event,) = writer.events
    assert (event.type, event.key_id) == ("budget.exceeded", "key_1")
    assert event.data["key_name"] == "Ada's"
    assert event.data["limit_usd"] == "1.00"
    assert event.data["spent_usd"] == "0.90"
