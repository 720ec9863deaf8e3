"""The spool: an append-only journal on disk, so that neither kill -9 nor a full store loses a row.

An INTENT stands in the file (one unbuffered write) before an attempt is dispatched; that alone survives the
death of the process. A SETTLE waits in memory for the next INTENT and leaves with it in the same write, or with
the thread's next turn, at most 20 ms later. Should the process be killed meanwhile, the attempt is found without
its SETTLE: it is charged its bound and marked as estimated, never lost and never too little.

The thread also syncs to the disk at most every 20 ms while there is something new, which bounds what a power loss
can take. Each start and each `segment_bytes` begin a new segment; intents that are still open are copied into it, so
that every SETTLE stands in one segment with its INTENT and a segment can be deleted as soon as all its settles are
in the store. Positions count what waits as if it were written: it is, before anything that comes later.

When a write fails the file is cut back to its last whole write, what waits goes into the next segment with the open
intents, and the spool is unhealthy; it tries a new segment every second. One process at a time may have a spool
folder. Reading is in replay.py.
"""

import fcntl
import logging
import os
import queue
import threading
import time
from contextlib import suppress
from pathlib import Path

from gateway_proxy.core.ledger import LedgerRow
from gateway_proxy.ledger.records import HEADER, RowKey, encode_intent, encode_settle

log = logging.getLogger("gateway_proxy.spool")

Position = tuple[int, int]
"""(segment number, offset of a record's end)."""

SUFFIX = ".spool"
CORRUPT_SUFFIX = ".corrupt"
MEBIBYTE = 1 << 20


class SpoolUnavailable(Exception):
    """The journal cannot be written. The text says why; safe to show to an operator."""


class SpoolLocked(SpoolUnavailable):
    """Another process has this folder."""


class Spool:
    """See the module. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 64 * MEBIBYTE,
        max_bytes: int = 1024 * MEBIBYTE,
        sync_seconds: float = 0.02,
        probe_seconds: float = 1.0,
        after_segment: int = 0,
    ) -> None:
        """Lock the folder (made if missing) and open a new segment.

        `after_segment`: numbers start above it, even if the folder was emptied; pass the store's cursor.
        Raises SpoolLocked, or SpoolUnavailable when the folder cannot be used.
        """
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._sync_seconds = sync_seconds
        self._probe_seconds = probe_seconds
        self._mutex = threading.Lock()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._dirty = False
        self._failed = ""
        self.failures = 0  # writes and syncs that failed since the start
        self._open_intents: dict[RowKey, bytes] = {}
        self._waiting = b""  # settles that are not written yet
        self._waiting_intents: list[bytes] = []  # theirs, should they have to go into the next segment
        self._retired: list[int] = []
        self._deletable_below = 0
        self._fd = -1
        self._written = self._head_size = 0
        self._size = 0  # with what waits
        self._lock_fd = -1
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_fd = lock_folder(folder)
            self._older = _segments(folder, SUFFIX)
            self._older_bytes = sum(self._older.values())
            self._number = max(after_segment, 0, *self._older, *_segments(folder, CORRUPT_SUFFIX))
            self.first_segment = self._number + 1
            self._start_segment()
        except BlockingIOError:
            raise SpoolLocked(
                f"another gateway is running on {folder}: stop it, or give this one its own [storage] data_dir"
            ) from None
        except OSError as error:
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
            raise SpoolUnavailable(f"the spool {folder} cannot be used: {error.strerror or error}") from error
        self._thread = threading.Thread(target=self._tend, name="spool", daemon=True)
        self._thread.start()

    # Write

    @property
    def healthy(self) -> bool:
        """Whether an intent could be written now."""
        return not self._failed and self._older_bytes + self._size < self._max_bytes

    @property
    def size_bytes(self) -> int:
        """Of all segments, with what waits to be written."""
        return self._older_bytes + self._size

    def intent(self, row: LedgerRow) -> None:
        """Write down that an attempt begins. Raises SpoolUnavailable: then it must not be dispatched on credit."""
        record = encode_intent(row)
        key = row[:2]
        with self._mutex:
            if self._older_bytes + self._size >= self._max_bytes:
                raise SpoolUnavailable(
                    f"{self._max_bytes >> 20} MiB wait in the spool for the store to come back"
                )
            self._make_room(len(record))
            self._write(record)
            self._open_intents[key] = record

    def settle(self, row: LedgerRow) -> Position:
        """Take down how an attempt ended; it is written soon. Raises SpoolUnavailable: then only the store will know."""
        key = row[:2]
        with self._mutex:
            try:
                record = encode_settle(row)
                intent = self._open_intents.get(key)
                if intent is None:
                    # It could not be written at its time.
                    record = encode_intent(row) + record
                # The intent counts as open until here: should a segment begin now, it goes along.
                self._make_room(len(record))
            finally:
                self._open_intents.pop(key, None)
            self._waiting += record
            if intent is not None:
                self._waiting_intents.append(intent)
            self._size += len(record)
            if not self._dirty:
                self._dirty = True
                self._wake.put(None)
            return self._number, self._size

    def flush(self) -> None:
        """Write what waits. Raises SpoolUnavailable."""
        with self._mutex:
            if self._waiting:
                self._write(b"")

    def position(self) -> Position:
        """The end of what is written and waits."""
        with self._mutex:
            return self._number, self._size

    def _make_room(self, length: int) -> None:
        """Begin a segment for a record that the present one has no room for. Raises SpoolUnavailable."""
        if self._failed:
            raise SpoolUnavailable(self._failed)
        # Twice the head: if the open intents alone fill a segment, not every record may begin a new one.
        if self._size + length > self._segment_bytes and self._size > 2 * self._head_size:
            if self._waiting:
                self._write(b"")
            try:
                self._start_segment()
            except OSError as error:
                raise self._fail(error) from error

    def _write(self, record: bytes) -> None:
        """Write what waits and the record, all or nothing."""
        data = self._waiting + record
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                raise OSError(0, "the disk took only a part of the record")
        except OSError as error:
            raise self._fail(error) from error
        self._written += written
        self._size = self._written
        if self._waiting:
            self._waiting = b""
            self._waiting_intents.clear()
        if not self._dirty:
            self._dirty = True
            self._wake.put(None)

    def _fail(self, error: OSError) -> SpoolUnavailable:
        # Cut a torn record off, so that nothing unreadable stays before what is written later. Where even
        # that fails, the segment is left as it is: nothing more is written to it.
        with suppress(OSError):
            os.ftruncate(self._fd, self._written)
        self._failed = f"the spool {self.folder} cannot be written: {error.strerror or error}"
        self.failures += 1
        log.error("ALARM: %s; budgeted keys are refused until it can", self._failed)
        self._wake.put(None)
        return SpoolUnavailable(self._failed)

    def _start_segment(self) -> None:
        """Open the next segment with the open intents and what waits. Raises OSError and changes nothing."""
        number = self._number + 1
        path = self._path(number)
        head = b"".join((HEADER, *self._open_intents.values(), *self._waiting_intents, self._waiting))
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if os.write(fd, head) != len(head):
                raise OSError(0, "the disk took only a part of the segment's head")
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            self._older[self._number] = self._written
            self._older_bytes += self._written
            self._retired.append(self._fd)
        self._fd, self._number, self._dirty = fd, number, True
        self._size = self._written = self._head_size = len(head)
        self._waiting = b""
        self._waiting_intents.clear()
        self._wake.put(None)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:010d}{SUFFIX}"

    # Read and delete

    def earlier_segments(self) -> list[tuple[int, Path]]:
        """The segments of former processes, oldest first."""
        return [(n, self._path(n)) for n in sorted(self._older) if n < self.first_segment]

    def release_before(self, segment: int) -> None:
        """Everything in segments below this one is in the store: delete them, once what replaces them is synced."""
        if segment > self._deletable_below:
            self._deletable_below = segment
            self._wake.put(None)

    # The thread

    def _tend(self) -> None:
        while not self._stopping.is_set():
            if self._failed:
                if not self._stopping.wait(self._probe_seconds):
                    self._probe()
                continue
            self._wake.get()
            if not self._stopping.is_set():
                time.sleep(self._sync_seconds)
            self._sync()

    def _sync(self) -> None:
        with self._mutex:
            if self._waiting and not self._failed:
                with suppress(SpoolUnavailable):  # said and remembered; what waits goes into the next segment
                    self._write(b"")
            fd, dirty, retired = self._fd, self._dirty, self._retired
            self._dirty, self._retired = False, []
            deletable = [n for n in self._older if n < min(self._deletable_below, self._number)]
            for number in deletable:  # a file that cannot be deleted is found again at the next start
                self._older_bytes -= self._older.pop(number)
        try:
            for old in retired:
                os.fdatasync(old)
            if dirty:
                os.fdatasync(fd)
            if retired or deletable:
                _sync_folder(self.folder)
            for number in deletable:
                self._path(number).unlink(missing_ok=True)
        except OSError as error:
            with self._mutex:
                self._fail(error)
            return
        finally:
            for old in retired:
                os.close(old)

    def _probe(self) -> None:
        with self._mutex:
            try:
                self._start_segment()
            except OSError as error:
                self._failed = f"the spool {self.folder} cannot be written: {error.strerror or error}"
                return
            self._failed = ""
        log.warning("the spool %s can be written again", self.folder)

    def close(self) -> None:
        """Write what waits, sync, let go of the file and of the lock."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake.put(None)
        self._thread.join()
        self._sync()
        os.close(self._fd)
        os.close(self._lock_fd)


def lock_folder(folder: Path) -> int:
    """The folder is this process's until the descriptor is closed. Raises BlockingIOError where another one has it, OSError."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _segments(folder: Path, suffix: str) -> dict[int, int]:
    """Number → size of the segments with this suffix."""
    found = (path for path in folder.glob(f"*{suffix}") if path.stem.isascii() and path.stem.isdigit())
    return {int(path.stem): path.stat().st_size for path in found}


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
