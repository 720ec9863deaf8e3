"""The driver's errors in words that say what to do."""

import sqlite3
from pathlib import Path

import pytest

from gateway_proxy.storage.database import NumberTooLarge, StoreConflict, StoreError
from gateway_proxy.storage.sqlite_errors import explain

PATH = Path("/var/lib/gateway/gateway.db")


def make_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("driver's words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_NOTADB, "not an SQLite database"),
        (sqlite3.SQLITE_READONLY, "read-only"),
        (sqlite3.SQLITE_FULL, "make room"),
        (sqlite3.SQLITE_IOERR | (10 << 8), "the disk reports an error"),  # an extended code
    ],
)
def test_known_codes_name_the_file_and_the_remedy(code: int, word: str) -> None:
    error = explain(make_error(code), PATH)
    assert str(PATH) in str(error)
    assert word in str(error)


def test_constraints_and_large_numbers_have_types_of_their_own() -> None:
    assert type(explain(make_error(sqlite3.SQLITE_CONSTRAINT | (8 << 8)), PATH)) is StoreConflict
    assert type(explain(OverflowError("int too large"), PATH)) is NumberTooLarge


def test_an_unknown_error_keeps_the_drivers_words() -> None:
    error = explain(make_error(999 & 0xFF), PATH)
    assert type(error) is StoreError
    assert "driver's words" in str(error)
