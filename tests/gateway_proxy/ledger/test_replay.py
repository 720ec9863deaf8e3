"""After any crash: every attempt that may have been dispatched has exactly one row, and the same one each time."""

import copy
import random
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_proxy.ledger.records import scan
from gateway_proxy.ledger.replay import find_unreserved, recover
from gateway_proxy.ledger.spool import Spool
from tests.support.books import finish, make_row

NOW = 1_800_000_000_000


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "spool"


def write(folder: Path, count: int, orphans: int = 0, **options) -> list:
    """A process that finished `count` rows and died with `orphans` more under way."""
    spool = Spool(folder, **options)
    rows = [make_row(number) for number in range(count + orphans)]
    for row in rows:
        spool.intent(row)
    for row in rows[:count]:
        spool.settle(finish(row))
    spool.close()
    return rows


def replay(folder: Path, cursor=None, now_ms=NOW):
    spool = Spool(folder)
    try:
        return [(copy.deepcopy(row), position) for row, position in recover(spool, cursor, now_ms)]
    finally:
        spool.close()


def test_finished_rows_come_back_as_they_were_in_order(folder):
    rows = write(folder, 20, segment_bytes=2000)
    found = replay(folder)
    assert [row for row, _ in found] == [finish(row) for row in rows]
    assert [position for _, position in found] == sorted(position for _, position in found)


def test_rows_before_the_cursor_are_passed_over(folder):
    rows = write(folder, 10)
    positions = [position for _, position in replay(folder)]
    assert [row for row, _ in replay(folder, positions[6])] == [finish(row) for row in rows[7:]]
    assert replay(folder, positions[-1]) == []


def test_an_orphan_is_charged_its_bound_and_without_a_budget_its_estimate(folder):
    spool = Spool(folder)
    spool.intent(make_row(1, reserved_nanos=700))
    spool.intent(make_row(2, reserved_nanos=0, estimated_nanos=33))
    spool.close()
    for now_ms in (NOW, NOW + 5, NOW + 9):
        rows = [row for row, _ in replay(folder, now_ms=now_ms)]
        assert [row.charged_nanos for row in rows] == [700, 33]
        assert {(row.usage_source, row.outcome, row.settled_at) for row in rows} == {
            ("estimated", "orphaned", NOW)
        }


def test_what_was_not_reserved_is_found_and_nothing_is_written(folder):
    spool = Spool(folder)
    rows = [make_row(n, reserved_nanos=(700, 0, 500, 0)[n], estimated_nanos=33) for n in range(4)]
    for row in rows:
        spool.intent(row)
    spool.settle(finish(rows[1], 20))
    position = spool.settle(finish(rows[2], 501))
    spool.close()
    for cursor, found in ((None, [1, 2, 3]), (position, [3])):
        spool = Spool(folder)
        assert [row.request_id for row in find_unreserved(spool, cursor)] == [f"req_{n}" for n in found]
        spool.close()
    assert len(replay(folder)) == 4


def test_a_replay_that_was_killed_half_way_changes_nothing(folder):
    write(folder, 3, orphans=4)
    spool = Spool(folder)
    half = recover(spool, None, NOW)
    first = [copy.deepcopy(next(half)) for _ in range(5)]
    half.close()
    spool.close()
    again = [row for row, _ in replay(folder, now_ms=NOW + 1)]
    assert len(again) == 7
    by_id = {row.request_id: row for row in again}
    assert all(by_id[row.request_id] == row for row, _ in first)
    once_more = [row for row, _ in replay(folder, now_ms=NOW + 2)]
    assert sorted(once_more, key=repr) == sorted(again, key=repr)


@pytest.mark.slow
def test_truncation_anywhere_in_the_last_records_gives_a_valid_prefix(folder, tmp_path):
    write(folder, 4)
    [(_, path)] = Spool(folder).earlier_segments() or [(0, None)]
    data = path.read_bytes()
    for length in range(len(data) - 1200, len(data), 7):
        target = tmp_path / f"cut-{length}"
        target.mkdir()
        (target / path.name).write_bytes(data[:length])
        rows = [row for row, _ in replay(target)]
        whole = [r for r in scan(data).records if r[2] <= length]
        assert {row.request_id for row in rows} == {values[0] for _, values, _ in whole}
        assert all(row.charged_nanos in (row.reserved_nanos, row.reserved_nanos - 1) for row in rows)


def test_damage_in_the_middle_stops_that_segment_and_keeps_it_aside(folder, caplog):
    write(folder, 5)
    path = folder / "0000000001.spool"
    data = bytearray(path.read_bytes())
    data[scan(bytes(data)).records[2][2] + 20] ^= 4
    path.write_bytes(data)
    write_more = Spool(folder)
    write_more.settle(finish(make_row(50)))
    write_more.close()
    ids = {row.request_id for row, _ in replay(folder)}
    assert ids == {"req_0", "req_1", "req_2", "req_50"}
    assert "is damaged after byte" in caplog.text
    assert (folder / "0000000001.corrupt").read_bytes() == data
    assert {row.request_id for row, _ in replay(folder)} == ids


def test_a_settle_without_its_intent_is_reported(folder, caplog):
    spool = Spool(folder)
    row = make_row(1)
    spool.intent(row)
    spool.settle(finish(row))
    spool.close()
    path = folder / "0000000001.spool"
    data = path.read_bytes()
    path.write_bytes(data[:8] + data[scan(data).records[0][2] :])
    assert replay(folder) == []
    assert "has no intent" in caplog.text


CRASHING = """
import os, pathlib, random, sys
from gateway_proxy.ledger.spool import Spool
from tests.support.books import finish, make_row
spool = Spool(pathlib.Path(sys.argv[1]), segment_bytes=4000)
live, number, pick = [], 0, random.Random(int(sys.argv[2]))
while True:
    if len(live) < 5 or pick.random() < 0.5 and len(live) < 20:
        number += 1
        row = make_row(number)
        os.write(1, b"?%d\\n" % number)
        spool.intent(row)
        os.write(1, b"+%d\\n" % number)
        live.append(row)
    else:
        row = live.pop(pick.randrange(len(live)))
        spool.settle(finish(row))
        os.write(1, b"-%s\\n" % row.request_id[4:].encode())
"""


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_and_doubles_nothing(tmp_path):
    pick = random.Random(9)
    for round_number in range(20):
        folder = tmp_path / str(round_number)
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", "import sys; sys.path[:0] = " + repr(sys.path) + CRASHING,
             str(folder), str(round_number)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        output = process.stdout.read(pick.randrange(200, 6000))
        process.kill()
        output += process.stdout.read()
        process.stdout.close()
        process.wait()
        lines = output.decode().split("\n")[:-1]
        begun = {line[1:] for line in lines if line[0] == "+"}
        # What was settled before the last intent was written with it at the latest; the rest may have waited.
        last = max((index for index, line in enumerate(lines) if line[0] == "+"), default=0)
        settled = {line[1:] for line in lines[:last] if line[0] == "-"}
        later = {line[1:] for line in lines[last:] if line[0] == "-"}
        tried = {line[1:] for line in lines if line[0] == "?"}
        rows = [row for row, _ in replay(folder)]
        numbers = [row.request_id[4:] for row in rows]
        assert len(numbers) == len(set(numbers))
        assert begun <= set(numbers) <= tried
        completed = {row.request_id[4:] for row in rows if row.outcome == "completed"}
        assert settled <= completed
        assert len(completed - settled - later) <= 1
        for row in rows:
            assert row.charged_nanos == row.reserved_nanos - (row.outcome == "completed")
        assert [row for row, _ in replay(folder)] == rows or sorted(
            (row for row, _ in replay(folder)), key=repr
        ) == sorted(rows, key=repr)
