"""Rows reach a sink in batches, in order, and none of its faults reaches anybody else."""

import logging
import threading
import time

import pytest

from gateway_proxy.app import sinks
from gateway_proxy.app.sinks import SinkThread
from gateway_proxy.plugins.sink import Rows, Sink
from tests.support.books import make_log, make_row


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "GATHER_SECONDS", 0.02)
    monkeypatch.setattr(sinks, "PAUSE_SECONDS", 0.001)


class Lake(Sink):
    def __init__(self, failures: int = 0) -> None:
        self.batches: list[Rows] = []
        self.failures = failures
        self.calls = 0
        self.got = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.closed_by = ""

    def write(self, rows: Rows) -> None:
        self.may_go_on.wait(5)
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise SystemExit("no space")
        self.batches.append(rows)
        self.got.set()

    def close(self) -> None:
        self.closed_by = threading.current_thread().name


async def test_rows_come_in_order_apart_by_kind_and_all_before_the_end() -> None:
    lake = Lake()
    thread = SinkThread("lake", lake)
    for number in range(3):
        thread.take(make_log(number))
        thread.take(make_row(number))
    await thread.close()
    assert [row.request_id for batch in lake.batches for row in batch.logs] == [
        make_log(n).request_id for n in range(3)
    ]
    assert [row.request_id for batch in lake.batches for row in batch.ledger] == [
        make_row(n).request_id for n in range(3)
    ]
    assert lake.closed_by == "sink lake" and not thread.dropped_rows


async def test_a_slow_sink_costs_rows_and_not_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sinks, "MAX_WAITING_ROWS", 5)
    lake = Lake()
    lake.may_go_on.clear()
    thread = SinkThread("lake", lake)
    began = time.monotonic()
    for number in range(1000):
        thread.take(make_log(number))
    assert time.monotonic() - began < 1
    assert thread.dropped_rows >= 990
    lake.may_go_on.set()
    with caplog.at_level(logging.ERROR):
        await thread.close()
    assert sum(len(batch.logs) for batch in lake.batches) == 1000 - thread.dropped_rows
    assert "rows were dropped" in caplog.text


async def test_a_batch_is_tried_three_times(caplog: pytest.LogCaptureFixture) -> None:
    for failures, delivered in ((2, 1), (3, 0)):
        lake = Lake(failures)
        thread = SinkThread("lake", lake)
        with caplog.at_level(logging.ERROR):
            thread.take(make_log(1))
            await thread.close()
        assert (lake.calls, len(lake.batches), thread.dropped_rows) == (3, delivered, 1 - delivered)
    assert "try 3 of 3" in caplog.text


async def test_many_rows_leave_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "GATHER_SECONDS", 60.0)
    lake = Lake()
    thread = SinkThread("lake", lake)
    for number in range(sinks.BATCH_ROWS):
        thread.take(make_log(number))
    assert lake.got.wait(5)
    await thread.close()
    assert max(len(batch.logs) for batch in lake.batches) <= sinks.BATCH_ROWS


async def test_one_that_hangs_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    lake = Lake()
    lake.may_go_on.clear()
    thread = SinkThread("lake", lake)
    thread.take(make_log(1))
    with caplog.at_level(logging.ERROR):
        await thread.close(0.05)
    assert "does not end" in caplog.text
    lake.may_go_on.set()
    await thread.close()
