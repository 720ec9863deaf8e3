"""The snapshot: all of it comes back, whoever changed it; anything else is refused. Nothing of a secret is in it."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway_proxy.core.key import Key
from gateway_proxy.core.store import CountersMark, KeyRecord, SigningKey, StoredSecret
from gateway_proxy.storage.snapshot import Snapshot, SnapshotRefused, State

SECRET, STORE = b"p" * 32, "postgresql://db/gateway"
MARK = CountersMark("e1", "run", 2**40, -7, "gtw_1/0.a")
STATE = State(7, 1_790_000_000_000, (SigningKey("kid", "gtw_1", b"\x01" * 32, 5, 6),), 99, MARK, (3, 70))


def record(name: str, **members: object) -> KeyRecord:
    key = Key(id=name, name=name, organization="default", owner="local", **members)  # type: ignore[arg-type]
    return KeyRecord(name, key, (StoredSecret(name.encode() * 8, "pep", 12),))


RECORDS = {name: record(name, metadata={"team": "ä"}) for name in "abc"}


@pytest.fixture
async def snapshot(tmp_path: Path) -> AsyncIterator[Snapshot]:
    snapshot = Snapshot(tmp_path / "snapshot.db", SECRET, STORE)
    await snapshot.rewrite(RECORDS, RECORDS.__getitem__, STATE)
    yield snapshot
    snapshot.close()


async def reopen(snapshot: Snapshot, secret: bytes = SECRET, store: str = STORE) -> dict[str, KeyRecord]:
    """What another process would find."""
    other = Snapshot(snapshot.path, secret, store)
    try:
        saved = await other.load()
        assert saved.state.signing_keys == STATE.signing_keys and saved.state.revoked_at == 99
        return {found.key_id: found for found in saved.records}
    finally:
        other.close()


def edit(snapshot: Snapshot, sql: str) -> None:
    connection = sqlite3.connect(snapshot.path)
    with connection:
        connection.execute(sql)
    connection.close()


async def test_everything_comes_back(snapshot: Snapshot) -> None:
    assert await reopen(snapshot) == RECORDS
    assert (await snapshot.load()).state == STATE
    assert snapshot.path.stat().st_mode & 0o777 == 0o600


async def test_changes_replace_what_was_there(snapshot: Snapshot) -> None:
    revoked = record("a", revoked_at=5, revision=2)
    for _ in range(2):  # the same twice is the same
        await snapshot.advance([revoked, KeyRecord("b", None), record("d")], replace(STATE, seq=8))
    snapshot.advance_later([record("e")], replace(STATE, seq=9))
    found = await reopen(snapshot) if (await snapshot.advance((), replace(STATE, seq=9))) is None else {}
    assert found == {
        "a": revoked,
        "b": KeyRecord("b", None),
        **{n: RECORDS.get(n) or record(n) for n in "cde"},
    }
    assert (await snapshot.load()).state.seq == 9
    await snapshot.advance([record("a")], STATE)  # after it was read
    assert (await reopen(snapshot))["a"] == record("a")


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM records WHERE key_id = 'b'",
        "UPDATE records SET body = CAST(replace(body, 'local', 'other') AS BLOB) WHERE key_id = 'b'",
        "UPDATE head SET body = CAST(replace(body, '[2,7', '[2,9') AS BLOB)",
        "UPDATE records SET key_id = 'z' WHERE key_id = 'b'",
        "DELETE FROM head",
        "DROP TABLE records",
    ],
)
async def test_what_was_changed_is_refused(snapshot: Snapshot, damage: str) -> None:
    edit(snapshot, damage)
    with pytest.raises(SnapshotRefused):
        await reopen(snapshot)


async def test_an_older_record_put_back_is_refused(snapshot: Snapshot) -> None:
    connection = sqlite3.connect(snapshot.path)
    body, mac = connection.execute("SELECT body, mac FROM records WHERE key_id = 'a'").fetchone()
    await snapshot.advance([record("a", revoked_at=5)], STATE)
    with connection:
        connection.execute("UPDATE records SET body = ?, mac = ? WHERE key_id = 'a'", (body, mac))
    connection.close()
    with pytest.raises(SnapshotRefused, match="lacks records"):
        await reopen(snapshot)


async def test_another_pepper_or_store_is_refused(snapshot: Snapshot) -> None:
    with pytest.raises(SnapshotRefused, match="another store or pepper"):
        await reopen(snapshot, secret=b"q" * 32)
    with pytest.raises(SnapshotRefused, match="another store or pepper"):
        await reopen(snapshot, store="postgresql://db/other")


async def test_without_a_whole_file_there_is_none(snapshot: Snapshot, tmp_path: Path) -> None:
    await snapshot.drop()
    with pytest.raises(SnapshotRefused, match="not complete"):
        await reopen(snapshot)

    def fail(name: str) -> KeyRecord:
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        await snapshot.rewrite(RECORDS, fail, STATE)
    with pytest.raises(SnapshotRefused, match="not complete"):
        await reopen(snapshot)
    await snapshot.rewrite(RECORDS, RECORDS.__getitem__, STATE)
    assert await reopen(snapshot) == RECORDS
    missing = Snapshot(tmp_path / "nothing", SECRET, STORE)
    with pytest.raises(SnapshotRefused, match="no snapshot"):
        await missing.load()
    missing.close()


async def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    path.write_bytes(b"nonsense" * 1000)
    snapshot = Snapshot(path, SECRET, STORE)
    with pytest.raises(SnapshotRefused):
        await snapshot.load()
    await snapshot.rewrite(RECORDS, RECORDS.__getitem__, STATE)
    assert await reopen(snapshot) == RECORDS
    snapshot.close()


async def test_one_of_the_version_before_is_gone_on_from_without_counters(snapshot: Snapshot) -> None:
    def write_as_before(connection: sqlite3.Connection) -> None:
        body = orjson.dumps(orjson.loads(connection.execute("SELECT body FROM head").fetchone()[0])[:-2])
        body = body.replace(b"[2,", b"[1,", 1)
        with connection:
            connection.execute("UPDATE head SET body = ?, mac = ?", (body, snapshot._mac(b"head\n" + body)))

    await snapshot._do(write_as_before)
    state = (await snapshot.load()).state
    assert state == replace(STATE, counters=None, cursor=None)
