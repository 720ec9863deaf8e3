"""The spool on a real folder: locked, private, bounded, and honest about a disk that refuses."""

import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_proxy.ledger.records import HEADER, INTENT, scan
from gateway_proxy.ledger.spool import Spool, SpoolLocked, SpoolUnavailable
from tests.support.books import finish, make_row
from tests.support.waiting import wait_until


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "data" / "spool"


@pytest.fixture
def open_spool(folder):
    opened = []

    def make(**options) -> Spool:
        spool = Spool(folder, **{"sync_seconds": 0.001, "probe_seconds": 0.01, **options})
        opened.append(spool)
        return spool

    yield make
    for spool in opened:
        spool.close()


def spool_end(found, index: int) -> tuple[int, int]:
    return 1, found.records[index][2]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def test_an_intent_stands_in_the_file_when_the_call_returns(open_spool, folder):
    spool = open_spool()
    row = make_row()
    spool.intent(row)
    [path] = segments(folder)
    assert len(scan(path.read_bytes()).records) == 1
    assert path.stat().st_size == spool.position()[1]


def test_a_settle_leaves_with_the_next_intent_in_one_write(open_spool, folder, monkeypatch):
    spool = open_spool(sync_seconds=0.5)
    first = make_row(1)
    spool.intent(first)
    position = spool.settle(finish(first))
    [path] = segments(folder)
    assert len(scan(path.read_bytes()).records) == 1
    real_write, writes = os.write, []
    monkeypatch.setattr(os, "write", lambda fd, data: (writes.append(data), real_write(fd, data))[1])
    spool.intent(make_row(2))
    found = scan(path.read_bytes())
    assert [(kind, values[0]) for kind, values, _ in found.records] == [
        (1, "req_1"),
        (2, "req_1"),
        (1, "req_2"),
    ]
    assert position == spool_end(found, 1)
    assert len(writes) == 1


def test_a_settle_is_written_soon_without_another_request(open_spool, folder):
    spool = open_spool()
    row = make_row(1)
    spool.intent(row)
    position = spool.settle(finish(row))
    wait_until(lambda: segments(folder)[0].stat().st_size == position[1])


def test_a_close_writes_what_waits(open_spool, folder):
    spool = open_spool(sync_seconds=0.2)
    position = spool.settle(finish(make_row(1)))
    spool.close()
    assert position == (1, segments(folder)[0].stat().st_size)


def test_files_are_private(open_spool, folder):
    open_spool()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_second_process_is_refused_with_a_clear_message(open_spool, folder):
    spool = open_spool()
    with pytest.raises(SpoolLocked, match=r"another gateway is running on .*data_dir"):
        Spool(folder)
    spool.close()
    spool.close()
    open_spool()


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnavailable, match="cannot be used"):
        Spool(tmp_path / "file" / "spool")


def test_a_start_that_failed_lets_go_of_the_lock(open_spool, folder, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", lambda fd, data: 3)
        with pytest.raises(SpoolUnavailable, match="took only a part"):
            Spool(folder)
    assert segments(folder) == []
    open_spool()


def test_each_start_begins_a_segment_above_all_before(open_spool, folder):
    open_spool().close()
    os.rename(segments(folder)[0], folder / "0000000007.corrupt")
    (folder / "notes.spool").write_text("not ours")
    assert open_spool().position() == (8, len(HEADER))


def test_numbers_start_above_the_stores_cursor(open_spool):
    assert open_spool(after_segment=41).position()[0] == 42


def test_a_new_segment_takes_the_open_intents_along(open_spool, folder):
    spool = open_spool(segment_bytes=3000)
    early = make_row(0)
    spool.intent(early)
    for number in range(1, 30):
        row = make_row(number)
        spool.intent(row)
        spool.settle(finish(row))
    spool.settle(finish(early))
    spool.flush()
    paths = segments(folder)
    assert len(paths) > 3
    for path in paths:
        found = scan(path.read_bytes())
        assert found.fault == ""
        assert path.stat().st_size <= 3000
        intents = {values[0] for kind, values, _ in found.records if kind == INTENT}
        assert {values[0] for _, values, _ in found.records} == intents
        assert "req_0" in intents


def test_released_segments_are_deleted_and_the_present_one_never(open_spool, folder):
    spool = open_spool(segment_bytes=1000)
    for number in range(20):
        spool.settle(finish(make_row(number)))
    last = spool.position()[0]
    spool.release_before(last - 1)
    wait_until(lambda: len(segments(folder)) == 2)
    spool.release_before(last + 5)
    wait_until(lambda: len(segments(folder)) == 1)
    spool.settle(finish(make_row(99)))


def test_a_full_spool_takes_settles_but_no_intents(open_spool):
    spool = open_spool(max_bytes=400)
    first = make_row(1)
    spool.intent(first)
    spool.intent(make_row(2))
    assert not spool.healthy and spool.size_bytes >= 400
    with pytest.raises(SpoolUnavailable, match="wait in the spool"):
        spool.intent(make_row(3))
    spool.settle(finish(first))


def test_a_settle_whose_intent_could_not_be_written_brings_it_along(open_spool, folder):
    spool = open_spool()
    spool.settle(finish(make_row(1)))
    spool.flush()
    assert [kind for kind, _, _ in scan(segments(folder)[0].read_bytes()).records] == [1, 2]


@pytest.mark.parametrize("taken", [0, 5, -1])
def test_a_failed_write_leaves_no_torn_record_and_the_spool_recovers(open_spool, folder, monkeypatch, taken):
    spool = open_spool()
    spool.intent(make_row(1))
    good = segments(folder)[0].stat().st_size
    real_write, broken = os.write, [True]

    def failing_write(fd, data):
        if not broken[0]:
            return real_write(fd, data)
        if taken < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(fd, data[:taken]) if taken else 0

    monkeypatch.setattr(os, "write", failing_write)
    with pytest.raises(SpoolUnavailable, match="cannot be written"):
        spool.intent(make_row(2))
    assert not spool.healthy
    assert segments(folder)[0].stat().st_size == good
    with pytest.raises(SpoolUnavailable):
        spool.settle(finish(make_row(3)))
    broken[0] = False
    wait_until(lambda: spool.healthy)
    spool.intent(make_row(4))
    found = scan(segments(folder)[-1].read_bytes())
    assert [values[0] for _, values, _ in found.records] == ["req_1", "req_4"]


def test_what_waits_at_a_failed_write_goes_into_the_next_segment_with_its_intent(
    open_spool, folder, monkeypatch
):
    spool = open_spool(sync_seconds=0.01)
    rows = [make_row(number) for number in (1, 2)]
    for row in rows:
        spool.intent(row)
    good = segments(folder)[0].stat().st_size
    real_write, broken = os.write, [True]
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:9] if broken[0] else data))
    spool.settle(finish(rows[0]))
    with pytest.raises(SpoolUnavailable, match="cannot be written"):
        spool.flush()
        spool.settle(finish(rows[1]))  # the thread may have been first to find out
    assert segments(folder)[0].stat().st_size == good
    broken[0] = False
    wait_until(lambda: spool.healthy)
    found = scan(segments(folder)[1].read_bytes())
    assert found.fault == ""
    assert [(kind, values[0]) for kind, values, _ in found.records[-2:]] == [(1, "req_1"), (2, "req_1")]
    assert spool.position() == (2, found.end)


def test_a_sync_that_fails_makes_the_spool_unhealthy_until_a_new_segment_works(
    open_spool, monkeypatch, caplog
):
    spool = open_spool(probe_seconds=0.05)
    wait_until(lambda: not spool._dirty)
    real_sync, calls = os.fdatasync, []

    def failing_sync(fd):
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")
        real_sync(fd)

    monkeypatch.setattr(os, "fdatasync", failing_sync)
    spool.intent(make_row(1))
    wait_until(lambda: "Input/output error" in caplog.text)
    wait_until(lambda: spool.healthy)
    assert spool.position()[0] == 2 and spool.failures == 1


def test_syncs_are_grouped(open_spool, monkeypatch):
    spool = open_spool(sync_seconds=0.05)
    calls = []
    real_sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (calls.append(fd), real_sync(fd)))
    for number in range(300):
        spool.intent(make_row(number))
    wait_until(lambda: calls and not spool._dirty)
    assert len(calls) <= 4


LIMITED = """
import resource, sys, pathlib
from gateway_proxy.ledger.spool import Spool, SpoolUnavailable
from tests.support.books import make_row
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
spool = Spool(pathlib.Path(sys.argv[1]), probe_seconds=60)
written = 0
try:
    while True:
        spool.intent(make_row(written))
        written += 1
except SpoolUnavailable as error:
    print(written, error)
"""


def test_a_quota_that_runs_out_tears_nothing(folder):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    written, message = done.stdout.split(" ", 1)
    assert "cannot be written" in message
    found = scan(segments(folder)[0].read_bytes())
    assert (found.fault, len(found.records)) == ("", int(written))
    assert 5000 - 400 < found.end <= 5000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 5000
