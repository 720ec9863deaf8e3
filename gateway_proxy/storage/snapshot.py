"""What a gateway knows of the keys, on its own disk: to go on from when it starts while the store is out of reach.

A small SQLite file with a thread of its own, kept up to date record by record. It holds digests, never secrets. Every
record carries a MAC under a key derived from the pepper, and the head one over all of them: what was edited, cut off or
put together from two states is refused, and so is the file of another store or pepper.

The file is complete or it is refused: while it is being written anew it has no head.
"""

import asyncio
import hmac
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gateway_proxy.core.store import CountersMark, KeyRecord, SigningKey, StoredSecret
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.key_rows import COLUMNS, key_to_row, row_to_key
from gateway_proxy.storage.worker import JobQueue, Worker

log = logging.getLogger("gateway_proxy.snapshot")

_VERSION = 2
_OLDER = 1  # without counters and cursor
_ROWS_AT_ONCE = 40
_REST_SECONDS = 0.003  # between those: the event loop must not wait for this thread
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (key_id TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (name TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
"""


class SnapshotRefused(StoreError):
    """The file cannot be gone on from. The text says why."""


@dataclass(frozen=True, slots=True)
class State:
    """All but the keys. `synced_at`: when (Unix milliseconds) the store was last heard of. `counters` are the shared ones, while
    they are believed; `cursor` is how far the spool was known to be in the store."""

    seq: int
    synced_at: int
    signing_keys: tuple[SigningKey, ...] = ()
    revoked_at: int | None = None  # the gateway itself
    counters: CountersMark | None = None
    cursor: tuple[int, int] | None = None


@dataclass(slots=True)
class Saved:
    """What was read back. `records` without a key are of deleted ones."""

    state: State
    records: list[KeyRecord] = field(default_factory=list)


class Snapshot:
    """The file of one gateway. `secret` is the pepper, `store` the store's name; nothing is opened before it is used."""

    def __init__(self, path: Path, secret: bytes, store: str) -> None:
        self.path = path
        self._key = hmac.digest(secret, b"gateway-proxy snapshot\n" + store.encode(), "sha256")
        self._jobs: JobQueue[sqlite3.Connection] = JobQueue()
        self._worker: Worker[sqlite3.Connection] | None = None
        self._closing = threading.Event()
        self._sum = 0  # of all records' MACs, by exclusive or

    async def load(self) -> Saved:
        """All of it. Raises SnapshotRefused, also for a file that is not there."""
        if not self.path.is_file():
            raise SnapshotRefused(f"there is no snapshot {self.path} to go on from")
        try:
            saved: Saved = await self._do(self._read)
            return saved
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise SnapshotRefused(f"the snapshot {self.path} is damaged: {type(error).__name__}") from None

    async def rewrite(self, ids: Iterable[str], find: Callable[[str], KeyRecord], state: State) -> None:
        """Write all of it anew, behind what is being served: `find` is called in the thread.

        Raises sqlite3.Error and OSError; then there is no snapshot.
        """
        await self._do(lambda connection: self._rewrite(connection, ids, find, state))

    def advance_later(self, records: Sequence[KeyRecord], state: State) -> None:
        """`advance`, without waiting for what was submitted before."""
        self._jobs.submit(lambda connection: self._advance(connection, records, state))

    async def advance(self, records: Sequence[KeyRecord], state: State) -> None:
        """Take these records and this state. Raises sqlite3.Error; then there is no snapshot."""
        await self._do(lambda connection: self._advance(connection, records, state))

    async def drop(self) -> None:
        """Have no snapshot, as far as the disk allows."""
        with suppress(sqlite3.Error, OSError, StoreError):
            await self._do(_behead)

    def close(self) -> None:
        """Finish what was submitted."""
        self._closing.set()
        self._jobs.close(1)
        if self._worker is not None:
            self._worker.join()

    async def _do(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        if self._worker is None:
            connection = await asyncio.to_thread(_open, self.path)
            self._worker = Worker(self._jobs, connection, "snapshot", sqlite3.Connection.close)
            self._worker.start()
        return await self._jobs.do(job)

    def _rewrite(
        self,
        connection: sqlite3.Connection,
        ids: Iterable[str],
        find: Callable[[str], KeyRecord],
        state: State,
    ) -> None:
        _behead(connection)
        with connection:
            connection.execute("DELETE FROM records")
            self._sum = 0
            rows = []
            for key_id in ids:
                rows.append(self._row(find(key_id)))
                if len(rows) == _ROWS_AT_ONCE:
                    self._insert(connection, rows)
                    rows.clear()
                    if self._closing.wait(_REST_SECONDS):
                        raise StoreError("the gateway ends before its snapshot was written")
            self._insert(connection, rows)
            self._write_head(connection, state)

    def _advance(self, connection: sqlite3.Connection, records: Sequence[KeyRecord], state: State) -> None:
        try:
            with connection:
                for record in records:
                    former = connection.execute(
                        "SELECT mac FROM records WHERE key_id = ?", (record.key_id,)
                    ).fetchone()
                    self._sum ^= 0 if former is None else int.from_bytes(former[0])
                    self._insert(connection, [self._row(record)])
                self._write_head(connection, state)
        except BaseException:
            with suppress(sqlite3.Error):
                _behead(connection)
            raise

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[tuple[str, bytes, bytes]]) -> None:
        connection.executemany("INSERT OR REPLACE INTO records (key_id, body, mac) VALUES (?, ?, ?)", rows)
        for _, _, mac in rows:
            self._sum ^= int.from_bytes(mac)

    def _row(self, record: KeyRecord) -> tuple[str, bytes, bytes]:
        body = orjson.dumps(_pack(record))
        return record.key_id, body, self._mac(b"record\n" + record.key_id.encode() + b"\n" + body)

    def _write_head(self, connection: sqlite3.Connection, state: State) -> None:
        pairs = [
            (pair.kid, pair.gateway_id, pair.public_key.hex(), pair.created_at, pair.believed_until)
            for pair in state.signing_keys
        ]
        total = self._sum.to_bytes(32).hex()
        body = orjson.dumps(
            [
                _VERSION,
                state.seq,
                state.synced_at,
                state.revoked_at,
                pairs,
                total,
                state.counters,
                state.cursor,
            ]
        )
        connection.execute(
            "INSERT OR REPLACE INTO head (name, body, mac) VALUES ('head', ?, ?)",
            (body, self._mac(b"head\n" + body)),
        )

    def _read(self, connection: sqlite3.Connection) -> Saved:
        head = connection.execute("SELECT body, mac FROM head WHERE name = 'head'").fetchone()
        if head is None:
            raise SnapshotRefused(f"the snapshot {self.path} is not complete")
        if not hmac.compare_digest(self._mac(b"head\n" + head[0]), head[1]):
            raise SnapshotRefused(f"the snapshot {self.path} is of another store or pepper, or was changed")
        version, seq, synced_at, revoked_at, pairs, total, *rest = orjson.loads(head[0])
        if version not in (_VERSION, _OLDER):
            raise SnapshotRefused(f"the snapshot {self.path} was written by another version")
        counters, cursor = (None, None) if version == _OLDER else rest
        signing = (
            SigningKey(kid, owner, bytes.fromhex(public), *times) for kid, owner, public, *times in pairs
        )
        mark = None if counters is None else CountersMark(**counters)
        saved = Saved(
            State(seq, synced_at, tuple(signing), revoked_at, mark, None if cursor is None else tuple(cursor))
        )
        self._sum = 0
        with closing(connection.execute("SELECT key_id, body, mac FROM records")) as rows:
            for key_id, body, mac in rows:
                if not hmac.compare_digest(self._mac(b"record\n" + key_id.encode() + b"\n" + body), mac):
                    raise SnapshotRefused(f"the snapshot {self.path} was changed")
                self._sum ^= int.from_bytes(mac)
                saved.records.append(_unpack(key_id, orjson.loads(body)))
        if self._sum.to_bytes(32).hex() != total:
            raise SnapshotRefused(f"the snapshot {self.path} lacks records")
        return saved

    def _mac(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, "sha256")


def _open(path: Path) -> sqlite3.Connection:
    """Readable by its owner only. A file that is no database is replaced: it is a copy of what the store has."""
    path.touch(0o600)
    path.chmod(0o600)
    for attempt in (1, 2):
        connection = sqlite3.connect(path, check_same_thread=False, cached_statements=16)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            connection.close()
            if attempt == 2:
                raise
            log.warning("the snapshot %s is damaged and is made anew", path)
            path.write_bytes(b"")
        else:
            return connection
    raise AssertionError


def _behead(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute("DELETE FROM head")


def _pack(record: KeyRecord) -> list[Any] | None:
    if record.key is None:
        return None
    secrets = [(secret.digest.hex(), secret.pepper_id, secret.expires_at) for secret in record.secrets]
    return [key_to_row(record.key), secrets]


def _unpack(key_id: str, packed: list[Any] | None) -> KeyRecord:
    if packed is None:
        return KeyRecord(key_id, None)
    row, secrets = packed
    if len(row) != len(COLUMNS):
        raise ValueError("of another version")
    stored = (StoredSecret(bytes.fromhex(digest), pepper_id, end) for digest, pepper_id, end in secrets)
    return KeyRecord(key_id, row_to_key(tuple(row)), tuple(stored))
