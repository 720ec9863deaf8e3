"""The schema files: numbered, in the subset that SQLite and PostgreSQL share, and never edited once released."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.habits.sources import ROOT

SQL = ROOT / "sql"
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+(\.sqlite|\.postgres)?\.sql")
_NOT_PORTABLE = re.compile(
    r"\b(?:SERIAL|BIGSERIAL|AUTOINCREMENT|NOW(?=\s*\()|CURRENT_TIMESTAMP|BOOLEAN|JSONB|JSON|TRIGGER|ALTER\s+TYPE|INTEGER|INT|"
    r"REAL|BLOB|BYTEA|VARCHAR|TIMESTAMP|WITHOUT\s+ROWID|STRICT|PRAGMA|INSERT\s+OR|GREATEST|IFNULL)\b",
    re.IGNORECASE,
)
RELEASED: dict[str, str] = {
    # file: SHA-256, entered when a version with it is released; from then on the next file changes the schema
}


def sql_files() -> list[Path]:
    return sorted(SQL.glob("*.sql"))


def statements(text: str) -> str:
    """The file without its comments and texts."""
    return re.sub(r"'[^']*'", "''", re.sub(r"--[^\n]*", "", text))


def test_files_are_numbered_without_gaps() -> None:
    matches = {path.name: _NAME.fullmatch(path.name) for path in sql_files()}
    assert matches
    assert all(matches.values()), sorted(matches)
    numbers = sorted({int(match[1]) for match in matches.values() if match})
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_file_for_one_database_has_its_twin() -> None:
    names = {path.name for path in sql_files()}
    for name in names:
        for one, other in ((".sqlite.", ".postgres."), (".postgres.", ".sqlite.")):
            assert one not in name or name.replace(one, other) in names
    numbers = [name[:4] for name in names if ".postgres." not in name]
    assert len(numbers) == len(set(numbers))


def test_shared_files_keep_to_the_portable_subset() -> None:
    odd = [
        f"{path.name}: {match.group()}"
        for path in sql_files()
        if ".sqlite." not in path.name and ".postgres." not in path.name
        for match in _NOT_PORTABLE.finditer(statements(path.read_text(encoding="utf-8")))
    ]
    assert not odd, "\n".join(odd)


@pytest.mark.parametrize(
    "text", ["id INTEGER PRIMARY KEY", "at TIMESTAMP", "on BOOLEAN", "DEFAULT now()", "DEFAULT NOW ( )"]
)
def test_the_search_finds_what_is_not_portable(text: str) -> None:
    assert _NOT_PORTABLE.search(statements(text))


def test_released_files_were_not_edited() -> None:
    for name, digest in RELEASED.items():
        assert hashlib.sha256((SQL / name).read_bytes()).hexdigest() == digest, f"{name} was edited"
