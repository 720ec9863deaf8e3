"""The change log: numbered, narrowed to an organization, read from both ends."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store
from gateway_proxy.storage.changes import ChangeFilter, list_changes, record_change


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
