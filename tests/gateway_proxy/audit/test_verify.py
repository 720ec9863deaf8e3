"""Verification finds every edit, swap and removal, and a log that ends before its reported head."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_proxy.audit.chain import Head
from gateway_proxy.audit.log import AuditLog
from gateway_proxy.audit.read import list_files
from gateway_proxy.audit.verify import verify
from gateway_proxy.core.clock import FakeClock

from .conftest import GATEWAY, KEY

LINES = 12
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Head]:
    """A log of several files, and its head."""
    folder = tmp_path_factory.mktemp("original")
    log = AuditLog(folder, KEY, GATEWAY, FakeClock(), max_file_bytes=1200)
    log.open()
    for n in range(1, LINES + 1):
        log.append([{"change": n, "action": "key.updated", "subject": f"key_{n}", "details": {"name": "ä"}}])
    log.close()
    assert len(list_files(folder)) > 2
    return folder, log.head


@pytest.fixture
def copied(original: tuple[Path, Head], tmp_path: Path) -> Path:
    return Path(shutil.copytree(original[0], tmp_path / "copy"))


def restore(original: tuple[Path, Head], copied: Path) -> list[Path]:
    shutil.rmtree(copied)
    shutil.copytree(original[0], copied)
    return list_files(copied)


def test_an_untouched_log_is_valid(original) -> None:
    verdict = verify(*(original[0], KEY, original[1]), gently=True)
    assert verdict.ok and verdict.entries == LINES and verdict.head == original[1]
    assert str(verdict) == f"{LINES} entries, all as they were written"


@pytest.mark.slow
@quick
@given(data=st.data())
def test_any_edit_of_one_byte_is_found(original, copied, data) -> None:
    path = data.draw(st.sampled_from(restore(original, copied)))
    content = bytearray(path.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert not verify(copied, KEY, original[1]).ok


@pytest.mark.slow
@quick
@given(data=st.data())
def test_any_swap_of_two_lines_is_found(original, copied, data) -> None:
    files = restore(original, copied)
    lines = [(path, line) for path in files for line in path.read_bytes().splitlines(keepends=True)]
    first, second = sorted(data.draw(st.sets(st.integers(0, LINES - 1), min_size=2, max_size=2)))
    texts = [line for _, line in lines]
    texts[first], texts[second] = texts[second], texts[first]
    for path in files:
        path.write_bytes(b"".join(t for (p, _), t in zip(lines, texts, strict=True) if p == path))
    verdict = verify(copied, KEY, original[1])
    assert verdict.entries == first and "missing before it" in verdict.fault


@quick
@given(cut=st.integers(0, LINES * 500))
def test_any_cut_below_the_head_is_found(original, copied, cut) -> None:
    files = restore(original, copied)
    left = cut
    whole = sum(path.stat().st_size for path in files)
    for path in files:
        size = path.stat().st_size
        if left >= size:
            left -= size
        elif left:
            os.truncate(path, left)
            left = 0
        else:
            path.unlink()
    assert verify(copied, KEY, original[1]).ok == (cut >= whole)


@quick
@given(gone=st.integers(0, LINES - 1))
def test_any_line_taken_out_is_found(original, copied, gone) -> None:
    position = 0
    for path in restore(original, copied):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for n, line in enumerate(lines, position) if n != gone]
        path.write_bytes(b"".join(kept))
        position += len(lines)
    assert not verify(copied, KEY, original[1]).ok


def test_a_cut_after_the_head_cannot_be_seen_and_a_line_being_written_does_not_count(
    original, copied
) -> None:
    last = list_files(copied)[-1]
    with last.open("ab") as file:
        file.write(b'{"seq":13,')
    assert verify(copied, KEY, original[1]).ok
    assert verify(copied, KEY, Head(3, "0" * 64)).line == 3


def test_the_fault_names_file_and_line(original, copied) -> None:
    path = list_files(copied)[1]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[0] = lines[0].replace(b"key.updated", b"key.deleted")
    path.write_bytes(b"".join(lines))
    assert str(verify(copied, KEY)).startswith(f"{path}:1: this line was changed")


def test_a_file_that_ends_in_the_middle_of_a_log_is_found(original, copied) -> None:
    path = list_files(copied)[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert "not a line" in verify(copied, KEY).fault


def test_a_log_that_is_gone_is_cut_off_at_its_beginning(tmp_path: Path) -> None:
    assert verify(tmp_path / "none", KEY).ok
    assert "ends at line 0" in verify(tmp_path / "none", KEY, Head(3, "0" * 64)).fault


def test_another_gateways_log_is_not_taken_for_this_one(original) -> None:
    assert "not written by this gateway" in verify(original[0], b"other", original[1]).fault
