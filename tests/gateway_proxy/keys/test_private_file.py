"""Private files: whole, for their owner only, and never replaced by accident."""

from pathlib import Path

import pytest

from gateway_proxy.keys.private_file import create_private_file, replace_private_file


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    create_private_file(tmp_path / "a", "first")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    create_private_file(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_replacement_takes_the_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first")
    replace_private_file(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text() == "second" and (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        create_private_file(tmp_path / "none" / "a", "text")
