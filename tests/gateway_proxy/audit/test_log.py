"""Writing the audit log: private, whole lines only, the chain going on over files, restarts and refusals of the disk."""

import errno
import json
import logging
import os
from pathlib import Path

import pytest

from gateway_proxy.audit.chain import Head
from gateway_proxy.audit.log import AuditUnavailable
from gateway_proxy.audit.read import list_files, read_lines
from gateway_proxy.audit.verify import verify

from .conftest import KEY


def entries(folder: Path) -> list[dict]:
    return [json.loads(text) for _, _, text in read_lines(folder)]


def test_files_and_folder_are_private(open_log, folder, acts):
    open_log().append(acts(1, 2))
    [path] = list_files(folder)
    assert path.name == "0000000001.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700


def test_each_line_names_its_gateway_and_where_the_change_log_was(open_log, folder, acts):
    log = open_log()
    log.append(acts(3, 5))
    assert [entry["gateway"] for entry in entries(folder)] == ["gtw_1"] * 3
    assert log.change == 5 and log.head.seq == 3


def test_the_chain_goes_on_after_a_restart(open_log, folder, acts):
    open_log().append(acts(1, 3))
    again = open_log()
    assert again.change == 3 and again.head.seq == 3
    again.append(acts(4, 4))
    assert verify(folder, KEY).ok and [e["change"] for e in entries(folder)] == [1, 2, 3, 4]


def test_a_full_file_is_followed_by_the_next_one(open_log, folder, acts):
    log = open_log(max_file_bytes=1000)
    for n in range(1, 11):
        log.append(acts(n, n))
    names = [path.name for path in list_files(folder)]
    assert len(names) > 2 and names[0] == "0000000001.jsonl"
    assert verify(folder, KEY, log.head).ok
    log.close()
    again = open_log(max_file_bytes=1000)
    again.append(acts(11, 11))
    assert verify(folder, KEY).entries == 11


@pytest.mark.parametrize("torn", [b'{"seq":4,"chan', b"\0" * 700, b"x"])
def test_a_torn_line_is_cut_off_and_noted(open_log, folder, acts, torn):
    open_log().append(acts(1, 3))
    [path] = list_files(folder)
    with path.open("ab") as file:
        file.write(torn)
    again = open_log()
    found = entries(folder)
    assert found[-1]["action"] == "audit.repaired" and found[-1]["details"] == {"bytes": len(torn)}
    assert again.change == 3
    again.append(acts(4, 4))
    assert verify(folder, KEY).entries == 5


def test_a_log_that_was_cut_before_its_head_never_verifies_again(open_log, folder, acts, caplog):
    log = open_log()
    log.append(acts(1, 5))
    reported = log.head
    log.close()
    [path] = list_files(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    with caplog.at_level(logging.ERROR):
        again = open_log(reported)
    assert "ALARM" in caplog.text
    again.append(acts(4, 9))  # what was cut away is written once more, and the gap stays
    verdict = verify(folder, KEY, again.head)
    assert verdict.line == 4 and "missing" in verdict.fault


def test_a_head_that_the_log_has_passed_changes_nothing(open_log, folder, acts):
    log = open_log()
    log.append(acts(1, 1))
    reported = log.head
    log.append(acts(2, 2))
    again = open_log(reported)
    assert again.head == log.head and verify(folder, KEY, reported).ok


def test_damage_at_the_end_is_left_for_verification(open_log, folder, acts):
    open_log().append(acts(1, 3))
    [path] = list_files(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + b"damage\n")
    again = open_log()
    assert again.head.seq == 2 and again.change == 2
    again.append(acts(3, 3))
    assert verify(folder, KEY).line == 3


def test_a_deleted_file_is_noticed_and_the_next_act_goes_to_a_new_one(open_log, folder, acts):
    log = open_log()
    log.append(acts(1, 2))
    list_files(folder)[0].unlink()
    log.append(acts(3, 3))
    assert [path.name for path in list_files(folder)] == ["0000000003.jsonl"]
    assert "missing" in verify(folder, KEY).fault


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_disk_that_refuses_leaves_whole_lines_only(open_log, folder, acts, monkeypatch, caplog, call):
    log = open_log()
    log.append(acts(1, 1))
    real = os.write

    def refuse(fd: int, data: bytes = b"") -> int:
        if data:
            real(fd, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, call, refuse)
        for _ in range(2):
            with pytest.raises(AuditUnavailable, match="No space left"):
                log.append(acts(2, 3))
    assert caplog.text.count("ALARM") == 1 and "No space left" in log.error
    assert log.change == 1
    log.append(acts(2, 3))
    assert verify(folder, KEY).entries == 3 and log.error == ""
    assert "again" in caplog.text


def test_a_folder_that_cannot_be_made_is_said_once_it_can_it_is_used(open_log, folder, acts):
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("in the way")
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        open_log()
    folder.parent.unlink()
    open_log().append(acts(1, 1))
    assert verify(folder, KEY).ok


def test_a_restored_store_is_noted_and_followed_from_its_end(open_log, folder, acts):
    log = open_log()
    log.append(acts(1, 9))
    log.rewind(4)
    assert log.change == 4
    assert entries(folder)[-1]["details"] == {"audited": 9, "store": 4}
    assert open_log().change == 4


def test_a_closed_log_refuses(open_log, acts):
    log = open_log()
    log.close()
    log.close()
    with pytest.raises(AuditUnavailable, match="closed"):
        log.append(acts(1, 1))
    assert log.head == Head()
