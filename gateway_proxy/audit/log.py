"""Writes a gateway's audit log: files in a folder of its own, mode 0600, appended to and never rewritten.

Files are named after the number of their first line; when one is full the chain goes on in the next. They are never
deleted here. `append` returns when its lines are on the disk (fdatasync): a head that was reported afterwards can be held
against the log for good. A line that a crash tore is cut off at the next start, and a line says so. One process at a time
may write a folder: whoever opens it holds the data folder's lock.
"""

import logging
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway_proxy.audit.chain import Head, Line, find_change, seal, take_apart
from gateway_proxy.audit.read import SUFFIX, list_files
from gateway_proxy.core.clock import Clock, format_time

log = logging.getLogger("gateway_proxy.audit")

MAX_FILE_BYTES = 64 << 20
_TAIL_BYTES = 1 << 20


class AuditUnavailable(Exception):
    """The log cannot be written. The text says why; safe to show to an operator."""


class AuditLog:
    """See the module. Thread-safe; every method may wait for the disk."""

    def __init__(
        self, folder: Path, key: bytes, gateway_id: str, clock: Clock, *, max_file_bytes: int = MAX_FILE_BYTES
    ) -> None:
        self.folder = folder
        self.head = Head()
        self.change = 0  # the last number of the change log that is in here
        self.error = ""
        self._key = key
        self._gateway_id = gateway_id
        self._clock = clock
        self._max_file_bytes = max_file_bytes
        self._mutex = threading.Lock()
        self._fd = -1
        self._size = 0
        self._path: Path | None = None
        self._closed = False

    def open(self, reported: Head | None = None) -> None:
        """Find the end of the log, mend a torn line, and go on from there. Raises AuditUnavailable.

        `reported` is the last head that left this machine. Where the log ends before it, somebody cut it: the numbers
        then go on after the head, so that the gap stays to be found.
        """
        with self._mutex:
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                torn = self._find_end()
            except OSError as error:
                raise self._fail(error) from error
            if reported is not None and reported.seq > self.head.seq:
                log.error(
                    "ALARM: the audit log %s ends at line %d, but line %d was reported: it was cut or restored",
                    self.folder, self.head.seq, reported.seq,
                )  # fmt: skip
                self.head = reported
            if torn:
                log.warning("a line of the audit log %s was not finished; it was cut off", self.folder)
                self._append([self._note("audit.repaired", {"bytes": torn})])

    def append(self, entries: Iterable[dict[str, Any]]) -> None:
        """Write acts, all or none; each has a `change`, its number in the change log. Raises AuditUnavailable."""
        with self._mutex:
            self._append(list(entries))

    def rewind(self, change: int) -> None:
        """The change log ends before what is in here (the store was restored): say so, and go on from its end."""
        with self._mutex:
            details = {"audited": self.change, "store": change}
            self.change = change
            self._append([self._note("audit.store_restored", details)])

    def close(self) -> None:
        """Let go of the file, after what is being written. May be called twice."""
        with self._mutex:
            self._closed = True
            self._let_go()

    def _note(self, action: str, details: dict[str, Any]) -> dict[str, Any]:
        return {
            "change": self.change,
            "at": format_time(self._clock.now_ms()),
            "action": action,
            "actor": "gateway",
            "details": details,
        }

    def _append(self, entries: list[dict[str, Any]]) -> None:
        if not entries:
            return
        if self._closed:
            raise AuditUnavailable("the audit log is closed")
        head, lines = self.head, []
        for entry in entries:
            line, head = seal(self._key, head, {**entry, "gateway": self._gateway_id})
            lines.append(line)
        data = b"".join(lines)
        try:
            self._make_room()
            before = os.fstat(self._fd).st_size
            try:
                written = os.write(self._fd, data)
                if written != len(data):
                    raise OSError(0, "the disk took only a part of the lines")
                os.fdatasync(self._fd)
            except OSError:
                # What is torn must not stay before what is written later.
                with suppress(OSError):
                    os.ftruncate(self._fd, before)
                raise
        except OSError as error:
            raise self._fail(error) from error
        self._size = before + written
        self.head, self.change = head, entries[-1]["change"]
        if self.error:
            log.warning("the audit log %s can be written again", self.folder)
            self.error = ""

    def _fail(self, error: OSError) -> AuditUnavailable:
        text = f"the audit log {self.folder} cannot be written: {error.strerror or error}"
        if not self.error:
            log.error("ALARM: %s; acts go on, and are written as soon as it can", text)
        self.error = text
        self._let_go()
        return AuditUnavailable(text)

    def _make_room(self) -> None:
        """Have a file open that is not full. Raises OSError."""
        if self._fd >= 0 and not os.fstat(self._fd).st_nlink:
            self._let_go()  # somebody deleted the file: what is written to it would be gone too
            self._path = None
        if self._path is None or self._size >= self._max_file_bytes:
            self._let_go()
            self._path = self.folder / f"{self.head.seq + 1:010d}{SUFFIX}"
            self._size = 0
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
            if self._size < os.fstat(self._fd).st_size:
                os.ftruncate(self._fd, self._size)  # a part of a failed write that could not be cut off then
            _sync_folder(self.folder)

    def _let_go(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _find_end(self) -> int:
        """Set head, change and file from what is there; returns how many torn bytes were cut off."""
        files = list_files(self.folder)
        if not files:
            return 0
        torn = _cut_torn_line(files[-1])
        self._path, self._size = files[-1], files[-1].stat().st_size
        for path in reversed(files):
            line = _last_line(path)
            if line is not None:
                self.head, self.change = Head(line.seq, line.mac), find_change(line)
                break
        return torn


def _cut_torn_line(path: Path) -> int:
    """Cut off what follows the last line feed; returns how many bytes it was."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        start = max(0, size - _TAIL_BYTES)
        whole = start + os.pread(fd, size - start, start).rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(fd, whole)
            os.fsync(fd)
        return size - whole
    finally:
        os.close(fd)


def _last_line(path: Path) -> Line | None:
    """The last line with the form of one: damage after it is for `verify` to tell of."""
    with path.open("rb") as file:
        start = max(0, path.stat().st_size - _TAIL_BYTES)
        file.seek(start)
        lines = file.read().split(b"\n")[:-1]
    return next((line for text in reversed(lines) if (line := take_apart(text))), None)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
