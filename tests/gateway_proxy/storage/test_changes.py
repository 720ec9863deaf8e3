"""The change log: numbered, narrowed to an organization, read from both ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.core.clock import Clock, FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.storage import Store, StoreError, open_store
from gateway_proxy.storage.changes import ChangeFilter, list_changes, record_change
from tests.support.postgres import PostgresServer


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path / 'gateway.db'}", migrate=True)
    yield store
    await store.close()


async def test_rows_keep_who_did_what_to_whom_from_where(store: Store) -> None:
    clock = FakeClock()
    async with store.db.transaction() as tx:
        for organization in ("default", "other", "default"):
            seq = await record_change(
                tx, clock, "member.added", organization=organization, actor="ada", details="{}", subject="mem_1", ip="::1"
            )  # fmt: skip
    assert seq == 3
    rows = await list_changes(store.db, organization="default")
    assert [row.seq for row in rows] == [3, 1]
    assert (rows[0].subject, rows[0].key_id, rows[0].ip, rows[0].at) == ("mem_1", "", "::1", clock.now_ms())
    assert [row.seq for row in await list_changes(store.db, after=1)] == [2, 3]
    assert [row.seq for row in await list_changes(store.db, before=3, limit=1)] == [2]
    assert await store.keys.changes_after(0) == (3, [])  # no key was touched


async def test_filters_narrow_the_list(store: Store) -> None:
    clock = FakeClock(1000)
    acts = [
        ("key.created", "ada", "key_1", ""),
        ("key.deleted", "bob", "key_1", ""),
        ("member.added", "ada", "", "mem_1"),
    ]
    async with store.db.transaction() as tx:
        for action, actor, key_id, subject in acts:
            await record_change(
                tx, clock, action, organization="o", actor=actor, details="{}", key_id=key_id, subject=subject
            )
            clock.advance(1)

    async def found(**wanted: Any) -> list[int]:
        return [row.seq for row in await list_changes(store.db, wanted=ChangeFilter(**wanted), after=0)]

    assert await found() == [1, 2, 3]
    assert await found(action="key.deleted") == [2] and await found(action="key.*") == [1, 2]
    assert await found(action="*") == [1, 2, 3] and await found(action="k_y*") == []
    assert await found(actor="ada") == [1, 3]
    assert await found(subject="key_1") == [1, 2] and await found(subject="mem_1") == [3]
    assert await found(start_ms=2000) == [2, 3] and await found(end_ms=2000) == [1]


@pytest.mark.slow
async def test_numbers_have_no_gap_in_the_order_of_commits_whoever_writes(postgres: PostgresServer) -> None:
    url = await postgres.make_store()
    stores = [await open_store(url) for _ in range(4)]
    seen: list[int] = []
    writing = True

    async def follow() -> None:
        """What is read after a number must hold nothing below it that was not there before."""
        while writing or len(seen) < 40:
            rows = await list_changes(stores[3].db, after=seen[-1] if seen else 0, limit=1000)
            seen.extend(row.seq for row in rows)
            await asyncio.sleep(0)

    async def write(store: Store, number: int) -> None:
        for turn in range(20):
            try:
                async with store.keys.change() as change:
                    key = Key(id=f"key_{number}_{turn}", name="k", organization="default", owner="local")
                    await change.save_key(key)
                    await change.record("key.created", key, "{}", actor="ada")
                    if turn % 3 == 0:
                        raise LookupError  # this one comes to nothing
            except LookupError:
                continue

    following = asyncio.ensure_future(follow())
    await asyncio.gather(*(write(store, number) for number, store in enumerate(stores[:3])))
    # A writer that dies in the middle of a change leaves no number behind either.
    with pytest.raises(StoreError):
        async with stores[0].db.transaction() as tx:
            await record_change(tx, Clock(), "key.created", organization="default", actor="ada", details="{}")
            pid_row = await tx.fetch_one("SELECT pg_backend_pid()")
            assert pid_row is not None
            await stores[1].db.fetch("SELECT pg_terminate_backend($1)", pid_row[0])
            await tx.fetch("SELECT 1")
    async with stores[1].db.transaction() as tx:
        last = await record_change(
            tx, Clock(), "key.created", organization="default", actor="ada", details="{}"
        )
    writing = False
    await following
    seen += [row.seq for row in await list_changes(stores[3].db, after=seen[-1], limit=1000)]
    assert seen == list(range(1, last + 1)) and last == 3 * 13 + 1
    (keys,) = await stores[3].db.fetch("SELECT COUNT(*) FROM keys")
    assert keys == (3 * 13,)
    for store in stores:
        await store.close()
    await postgres.take_back(url)
