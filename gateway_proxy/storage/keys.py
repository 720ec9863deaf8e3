"""Keys at rest: what the data plane reads, and the one transaction in which a change is made.

Whether a change is allowed is not decided here. Secrets are stored as digests only.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from sys import intern

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import Key
from gateway_proxy.core.store import Change, KeyRecord, SigningKey, StoredSecret
from gateway_proxy.storage import key_search, pepper_fact
from gateway_proxy.storage.changes import ChangeRow, last_sequence, list_changes, record_change
from gateway_proxy.storage.database import Database, Row, Statements
from gateway_proxy.storage.key_rows import COLUMNS, SELECTED, key_to_row, row_to_key
from gateway_proxy.storage.key_search import KeyLabel, KeyPage, KeyQuery, KeyStats
from gateway_proxy.storage.where import list_marks

_LAST_SEQ = "SELECT value FROM counters WHERE name = 'changes'"
_RECORDS = f"SELECT {SELECTED}, s.digest, s.pepper_id, s.expires_at FROM keys k LEFT JOIN key_secrets s ON s.key_id = k.id"  # noqa: S608
_PAGE_OF_RECORDS = (
    f"{_RECORDS} WHERE k.id IN (SELECT id FROM keys WHERE id > $1 AND (kind <> 'ephemeral' OR expires_at > $2)"  # noqa: S608
    " ORDER BY id LIMIT 2000) ORDER BY k.id"
)
_SAVE = (
    f"INSERT INTO keys ({', '.join(COLUMNS)}) VALUES ({', '.join(f'${n + 1}' for n in range(len(COLUMNS)))})"  # noqa: S608
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS[1:])}"
)
_SIGNING_KEYS = "SELECT s.kid, s.gateway_id, s.public_key, s.created_at, s.believed_until FROM signing_keys s"
_SAVE_STATS = (
    "INSERT INTO key_stats (key_id, organization, owner, requests, last_used_at, reserved_nanos, spent_nanos)"
    " VALUES ($1, $2, $3, 0, 0, 0, 0)"
    " ON CONFLICT (key_id) DO UPDATE SET organization = excluded.organization, owner = excluded.owner"
)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is kept of a deleted key."""

    id: str
    organization: str
    name: str
    owner: str
    preview: str
    deleted_at: int


class SqlKeys:
    """`KeyReader` and `KeyWriter`, and what the admin side looks up."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self._db = db
        self._clock = clock or Clock()
        self._seen_seq: int | None = None

    async def load_keys(self) -> tuple[int, Sequence[KeyRecord]]:
        # The number first: keys read after it may be newer than it says, which only makes them be read again.
        seq = await self.last_sequence()
        records: list[KeyRecord] = []
        now_ms = self._clock.now_ms()  # expired tokens are told from others by what they say themselves
        # A page at a time: the rows of all keys together would take more memory than the keys.
        while True:
            last_id = records[-1].key_id if records else ""
            rows = await self._db.fetch(_PAGE_OF_RECORDS, last_id, now_ms)
            if not rows:
                return seq, records
            records += _records(rows)

    async def changed(self) -> bool:
        row = await self._db.poll(_LAST_SEQ)
        if row is None or row[0] == self._seen_seq:
            return False
        self._seen_seq = row[0]
        return True

    async def wait_for_news(self) -> None:
        await self._db.wait_for_news()

    def silence_seconds(self) -> float:
        return self._db.silence_seconds()

    async def changes_after(self, seq: int, /) -> tuple[int, Sequence[KeyRecord]]:
        last = await self.last_sequence()
        if last <= seq:
            return last, ()
        touched = await self._db.fetch(
            "SELECT DISTINCT key_id FROM changes WHERE seq > $1 AND seq <= $2 AND key_id <> ''", seq, last
        )
        rows = await self._db.fetch(
            f"{_RECORDS} WHERE k.id IN (SELECT key_id FROM changes WHERE seq > $1 AND seq <= $2) ORDER BY k.id",  # noqa: S608
            seq, last,
        )  # fmt: skip
        records = {record.key_id: record for record in _records(rows)}
        return last, [records.get(key_id) or KeyRecord(key_id, None) for (key_id,) in touched]

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        async with self._db.transaction() as tx:
            yield SqlChange(tx, self._clock)

    async def find(self, key_id: str) -> Key | None:
        """The key, None if there is none or it was deleted."""
        return await _find(self._db, key_id)

    async def find_deleted(self, key_ids: Sequence[str]) -> dict[str, Tombstone]:
        """The tombstones among these ids."""
        if not key_ids:
            return {}
        marks = list_marks(len(key_ids))
        rows = await self._db.fetch(
            f"SELECT id, organization, name, owner, preview, deleted_at FROM deleted_keys WHERE id IN ({marks})",  # noqa: S608
            *key_ids,
        )
        return {row[0]: Tombstone(*row) for row in rows}

    async def deleted_since(self, at: int) -> list[str]:
        """The ids of the keys that were deleted since then (Unix milliseconds)."""
        return [
            row[0] for row in await self._db.fetch("SELECT id FROM deleted_keys WHERE deleted_at >= $1", at)
        ]

    async def signing_keys(self) -> list[SigningKey]:
        """What tokens are verified with: the pairs of all gateways but revoked ones."""
        rows = await self._db.fetch(
            f"{_SIGNING_KEYS} LEFT JOIN gateways g ON g.id = s.gateway_id WHERE g.revoked_at IS NULL"
            " AND (s.believed_until IS NULL OR s.believed_until > $1)",
            self._clock.now_ms(),
        )
        return [_signing_key(row) for row in rows]

    async def labels(self, key_ids: Sequence[str]) -> dict[str, KeyLabel]:
        """Name and metadata of these keys; of deleted ones the name is left."""
        return await key_search.find_labels(self._db, key_ids)

    async def search(self, query: KeyQuery) -> KeyPage:
        """One page of keys with their stats. Raises ValueError for a cursor that is not ours."""
        return await key_search.search(self._db, query, self._clock.now_ms())

    async def count(self, query: KeyQuery) -> int:
        """How many keys the query finds over all pages."""
        return await key_search.count(self._db, query, self._clock.now_ms())

    async def stats(self, key_ids: Sequence[str]) -> dict[str, KeyStats]:
        """The counts of these keys; every id has an entry."""
        return await key_search.find_stats(self._db, key_ids)

    async def total_requests(self, organization: str | None = None, owner: str | None = None) -> int:
        """Requests of all keys in view: what a key's share is taken of."""
        return await key_search.total_requests(self._db, organization, owner)

    async def list_changes(
        self, *, key_id: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[ChangeRow]:
        """The change log, newest first, with sequence numbers below `before`."""
        return await list_changes(self._db, key_id=key_id, before=before, limit=limit)

    async def last_changes(self, key_ids: Sequence[str]) -> dict[str, int]:
        """The number of the newest change of each of these keys."""
        if not key_ids:
            return {}
        marks = list_marks(len(key_ids))
        rows = await self._db.fetch(
            f"SELECT key_id, MAX(seq) FROM changes WHERE key_id IN ({marks}) AND key_id <> '' GROUP BY key_id",  # noqa: S608
            *key_ids,
        )
        return {row[0]: row[1] for row in rows}

    async def last_sequence(self) -> int:
        """The number of the newest change, 0 without any."""
        return await last_sequence(self._db)

    async def has_secrets(self) -> bool:
        """Whether any secret is at rest: then a pepper must not be made anew."""
        return await pepper_fact.has_secrets(self._db)


class SqlChange:
    """`Change` over an open transaction."""

    def __init__(self, tx: Statements, clock: Clock) -> None:
        self._tx = tx
        self._clock = clock

    async def find_key(self, key_id: str, /) -> Key | None:
        return await _find(self._tx, key_id)

    async def save_key(self, key: Key, /) -> None:
        await self._tx.execute(_SAVE, *key_to_row(key))
        await self._tx.execute(_SAVE_STATS, key.id, key.organization, key.owner)

    async def add_secret(self, key_id: str, digest: bytes, pepper_id: str, /) -> None:
        await pepper_fact.require_pepper(self._tx, pepper_id)
        await self._tx.execute(
            "INSERT INTO key_secrets (digest, key_id, pepper_id, expires_at) VALUES ($1, $2, $3, NULL)",
            digest.hex(), key_id, pepper_id,
        )  # fmt: skip

    async def retire_secrets(self, key_id: str, expires_at: int | None, /) -> None:
        if expires_at is None:
            await self._tx.execute("DELETE FROM key_secrets WHERE key_id = $1", key_id)
        else:
            await self._tx.execute(
                "UPDATE key_secrets SET expires_at = $2"
                " WHERE key_id = $1 AND (expires_at IS NULL OR expires_at > $2)",
                key_id, expires_at,
            )  # fmt: skip

    async def end_tokens(self, parent_id: str, at: int, /, *, revoked: bool) -> None:
        if revoked:
            change, those = "revoked_at = CAST($2 AS BIGINT)", "revoked_at IS NULL AND expires_at > $2"
        else:
            change, those = "expires_at = CAST($2 AS BIGINT)", "expires_at > $2"
        await self._tx.execute(
            f"UPDATE keys SET {change}, revision = revision + 1 WHERE parent_id = $1 AND {those}",  # noqa: S608
            parent_id, at,
        )  # fmt: skip

    async def has_tokens(self, parent_id: str, at: int, count: int, /) -> bool:
        row = await self._tx.fetch_one(
            "SELECT 1 FROM keys WHERE parent_id = $1 AND expires_at > $2 AND revoked_at IS NULL LIMIT 1 OFFSET $3",
            parent_id, at, count - 1,
        )  # fmt: skip
        return row is not None

    async def find_signing_key(self, kid: str, /) -> SigningKey | None:
        row = await self._tx.fetch_one(f"{_SIGNING_KEYS} WHERE s.kid = $1", kid)
        return _signing_key(row) if row else None

    async def add_signing_key(self, signing_key: SigningKey, /) -> None:
        await self._tx.execute(
            "INSERT INTO signing_keys (kid, gateway_id, public_key, created_at, believed_until)"
            " VALUES ($1, $2, $3, $4, $5)",
            signing_key.kid, signing_key.gateway_id, signing_key.public_key.hex(), signing_key.created_at,
            signing_key.believed_until,
        )  # fmt: skip

    async def retire_signing_keys(self, gateway_id: str, believed_until: int, /) -> None:
        await self._tx.execute(
            "UPDATE signing_keys SET believed_until = CAST($2 AS BIGINT)"
            " WHERE gateway_id = $1 AND (believed_until IS NULL OR believed_until > $2)",
            gateway_id, believed_until,
        )  # fmt: skip

    async def delete_key(self, key_id: str, /) -> None:
        await self._tx.execute(
            "INSERT INTO deleted_keys (id, organization, name, owner, preview, deleted_at)"
            " SELECT id, organization, name, owner, preview, CAST($2 AS BIGINT) FROM keys WHERE id = $1",
            key_id, self._clock.now_ms(),
        )  # fmt: skip
        await self._tx.execute("DELETE FROM keys WHERE id = $1", key_id)

    async def record(self, action: str, key: Key, details: str, /, *, actor: str, ip: str = "") -> int:
        return await record_change(
            self._tx, self._clock, action, organization=key.organization, key_id=key.id, actor=actor, ip=ip,
            details=details,
        )  # fmt: skip

    async def record_rotation(
        self, gateway_id: str, organization: str, details: str, /, *, actor: str, ip: str = ""
    ) -> int:
        return await record_change(
            self._tx, self._clock, "gateway.signing_key_rotated", organization=organization, subject=gateway_id,
            actor=actor, ip=ip, details=details,
        )  # fmt: skip


async def _find(statements: Statements, key_id: str) -> Key | None:
    row = await statements.fetch_one(f"SELECT {SELECTED} FROM keys k WHERE k.id = $1", key_id)  # noqa: S608
    return row_to_key(row) if row else None


def _signing_key(row: Row) -> SigningKey:
    return SigningKey(row[0], row[1], bytes.fromhex(row[2]), row[3], row[4])


def _records(rows: Sequence[Row]) -> list[KeyRecord]:
    """One record a key; the rows of a key follow one another, one for each of its secrets."""
    width = len(COLUMNS)
    records: list[KeyRecord] = []
    for row in rows:
        digest, pepper_id, expires_at = row[width : width + 3]
        secrets = (
            () if digest is None else (StoredSecret(bytes.fromhex(digest), intern(pepper_id), expires_at),)
        )
        if records and records[-1].key_id == row[0]:
            former = records.pop()
            records.append(KeyRecord(former.key_id, former.key, former.secrets + secrets))
        else:
            records.append(KeyRecord(row[0], row_to_key(row), secrets))
    return records
