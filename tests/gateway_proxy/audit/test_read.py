"""Reading the end of a log, and what arrives after it."""

from pathlib import Path

import pytest

from gateway_proxy.audit import read
from gateway_proxy.audit.read import Tail, list_files, parse_entry


def seqs(entries: list[dict]) -> list[int]:
    return [entry["seq"] for entry in entries]


@pytest.mark.parametrize("block", [1, 100, 1 << 16])
@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_the_last_entries_come_from_as_many_files_as_needed(
    open_log, folder, acts, monkeypatch, count, block
):
    monkeypatch.setattr(read, "_BLOCK_BYTES", block)
    log = open_log(max_file_bytes=600)
    for n in range(1, 11):
        log.append(acts(n, n))
    assert len(list_files(folder)) > 3
    assert seqs(Tail(folder).last(count)) == list(range(max(1, 11 - count), 11))


def test_news_go_on_where_the_end_was_over_files(open_log, folder, acts):
    log = open_log(max_file_bytes=600)
    log.append(acts(1, 2))
    tail = Tail(folder)
    assert seqs(tail.last(5)) == [1, 2]
    assert tail.news() == []
    for n in range(3, 9):
        log.append(acts(n, n))
    assert seqs(tail.news()) == [3, 4, 5, 6, 7, 8]


def test_a_log_that_begins_later_is_followed_from_its_beginning(open_log, folder, acts):
    tail = Tail(folder)
    assert tail.last(5) == [] and tail.news() == []
    open_log().append(acts(1, 2))
    assert seqs(tail.news()) == [1, 2]


def test_an_unfinished_line_waits_for_its_end(open_log, folder, acts):
    open_log().append(acts(1, 2))
    [path] = list_files(folder)
    text = path.read_bytes()
    path.write_bytes(text[:-5])
    tail = Tail(folder)
    assert seqs(tail.last(5)) == [1]
    path.write_bytes(text)
    assert seqs(tail.news()) == [2]


def test_damaged_lines_are_passed_over() -> None:
    for damaged in (b"", b"no", b"[]", b"{}", b'{"seq":"1"}'):
        assert parse_entry(damaged) is None


def test_other_files_in_the_folder_are_none_of_the_log(tmp_path: Path) -> None:
    for name in ("notes.txt", "copy.jsonl", "\u0663.jsonl"):
        (tmp_path / name).touch()
    assert list_files(tmp_path) == []
