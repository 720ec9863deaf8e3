"""SQLite's errors in words that say what to do. Result codes: https://www.sqlite.org/rescode.html."""

import sqlite3
from pathlib import Path

from gateway_proxy.storage.database import NumberTooLarge, StoreConflict, StoreError

_TEXTS = {
    sqlite3.SQLITE_BUSY: "is locked: another process has been writing to it for seconds; try again, or find the process",
    sqlite3.SQLITE_LOCKED: "is locked: another process has been writing to it for seconds; try again, or find the process",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; [storage] url names the wrong file, or it is damaged",
    sqlite3.SQLITE_CORRUPT: "is damaged; stop the gateway and restore a backup (PRAGMA integrity_check tells more)",
    sqlite3.SQLITE_READONLY: "is read-only for this user; check the owner and mode of the file and of its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that the folder exists and that this user may write to it",
    sqlite3.SQLITE_PERM: "may not be opened by this user; check the owner and mode of the file",
    sqlite3.SQLITE_FULL: "cannot grow: the disk or the quota is full; make room",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
}


def explain(error: Exception, path: Path) -> StoreError:
    """The `StoreError` to raise in place of an error of the driver."""
    if isinstance(error, OverflowError):
        return NumberTooLarge("a number is too large for the store: at most 9223372036854775807 fits")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CONSTRAINT:
        return StoreConflict(f"the store {path} refused it: {error}")
    if text := _TEXTS.get(code):
        return StoreError(f"the store {path} {text}")
    return StoreError(f"the store {path} failed: {error}")
