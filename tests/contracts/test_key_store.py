"""What `KeyReader`, `KeyWriter` and `Change` promise, on every backend."""

from dataclasses import replace

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.core.store import KeyRecord, StoredSecret
from gateway_proxy.storage import Store, StoreConflict

FULL = Key(
    id="key_full",
    name="Production API",
    organization="default",
    owner="ada@example.com",
    owner_id="mem_1",
    kind="ephemeral",
    parent_id="key_parent",
    preview="gwk_AbCd…wxyz",
    created_at=1_790_000_000_000,
    expires_at=1_800_000_000_000,
    inactive=True,
    revoked_at=1_790_000_000_001,
    revision=7,
    requests_per_minute=600,
    tokens_per_minute=0,
    burst=5,
    max_parallel_requests=50,
    budget_nanos=9_000_000_000 * 10**9,
    budget_period=BudgetPeriod.MONTH,
    budget_timezone="Europe/Berlin",
    alert_thresholds=(50, 80, 100),
    allowed_providers=("openai",),
    allowed_models=(),
    allowed_endpoints=None,
    ip_allowlist=("10.0.0.0/8", "2001:db8::1"),
    metadata={"team": "bäckend", "nested": {"a": [1, 2.5, None, True]}},
    strict=True,
    mcp=McpScope(True, McpMode.ALLOW_LIST, ("github",), {"github": ("search_issues",), "jira": ()}),
)
PLAIN = Key(id="key_plain", name="Plain", organization="default", owner="local")


async def save(store: Store, key: Key, *digests: bytes, action: str = "key.created") -> int:
    async with store.keys.change() as change:
        await change.save_key(key)
        for digest in digests:
            await change.add_secret(key.id, digest, "pep_1")
        return await change.record(action, key, "{}", actor="ada@example.com", ip="10.0.0.1")


@pytest.mark.parametrize("key", [FULL, PLAIN], ids=["full", "plain"])
async def test_a_key_comes_back_as_it_was_saved(store: Store, key: Key) -> None:
    seq = await save(store, key, b"\x01" * 32)
    record = KeyRecord(key.id, key, (StoredSecret(b"\x01" * 32, "pep_1"),))
    last, records = await store.keys.load_keys()
    assert (last, list(records)) == (seq, [record])
    async with store.keys.change() as change:
        assert await change.find_key(key.id) == key
        assert await change.find_key("key_nobody") is None


async def test_an_empty_store_has_no_keys_and_no_changes(store: Store) -> None:
    last, records = await store.keys.load_keys()
    assert (last, list(records)) == (0, [])
    last, records = await store.keys.changes_after(0)
    assert (last, list(records)) == (0, [])


async def test_saving_again_replaces_the_record_and_keeps_the_secrets(store: Store) -> None:
    await save(store, PLAIN, b"\x01" * 32)
    changed = replace(PLAIN, name="Renamed", requests_per_minute=3, revision=2)
    await save(store, changed)
    _, (record,) = await store.keys.load_keys()
    assert record.key == changed
    assert [secret.digest for secret in record.secrets] == [b"\x01" * 32]


async def test_a_block_that_raises_leaves_nothing_behind(store: Store) -> None:
    async def change_and_fail() -> None:
        async with store.keys.change() as change:
            await change.save_key(PLAIN)
            await change.add_secret(PLAIN.id, b"\x01" * 32, "pep_1")
            await change.record("key.created", PLAIN, "{}", actor="ada")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_and_fail()
    assert await store.keys.load_keys() == (0, [])
    assert await save(store, PLAIN) == 1


async def test_changes_are_numbered_without_gaps_whatever_fails(store: Store) -> None:
    seqs = []
    for number in range(6):
        try:
            async with store.keys.change() as change:
                seq = await change.record(
                    "key.updated", replace(PLAIN, id=f"key_{number}"), "{}", actor="ada"
                )
                if number % 2:
                    raise RuntimeError
                seqs.append(seq)
        except RuntimeError:
            pass
    assert seqs == [1, 2, 3]


async def test_a_digest_belongs_to_one_key(store: Store) -> None:
    await save(store, PLAIN, b"\x01" * 32)
    with pytest.raises(StoreConflict):
        await save(store, FULL, b"\x01" * 32)
    _, records = await store.keys.load_keys()
    assert [record.key_id for record in records] == [PLAIN.id]


async def test_retiring_ends_secrets_at_once_or_later_and_never_prolongs(store: Store) -> None:
    await save(store, PLAIN, b"\x01" * 32)
    async with store.keys.change() as change:
        await change.retire_secrets(PLAIN.id, 2_000)
        await change.add_secret(PLAIN.id, b"\x02" * 32, "pep_1")
    async with store.keys.change() as change:
        await change.retire_secrets(PLAIN.id, 3_000)
        await change.add_secret(PLAIN.id, b"\x03" * 32, "pep_2")
    _, (record,) = await store.keys.load_keys()
    assert sorted(record.secrets, key=lambda secret: secret.digest) == [
        StoredSecret(b"\x01" * 32, "pep_1", 2_000),
        StoredSecret(b"\x02" * 32, "pep_1", 3_000),
        StoredSecret(b"\x03" * 32, "pep_2", None),
    ]
    async with store.keys.change() as change:
        await change.retire_secrets(PLAIN.id, None)
    _, (record,) = await store.keys.load_keys()
    assert record.secrets == ()


async def test_changes_after_gives_the_touched_keys_in_their_present_state(store: Store) -> None:
    first = await save(store, PLAIN, b"\x01" * 32)
    await save(store, FULL)
    await save(store, replace(FULL, name="Newer", revision=8), action="key.updated")
    last, records = await store.keys.changes_after(first)
    assert last == 3
    assert [(record.key_id, record.key.name if record.key else None) for record in records] == [
        (FULL.id, "Newer")
    ]
    assert await store.keys.changes_after(last) == (3, ())


async def test_a_deleted_key_is_gone_and_told_of(store: Store, clock: FakeClock) -> None:
    seq = await save(store, PLAIN, b"\x01" * 32)
    async with store.keys.change() as change:
        await change.delete_key(PLAIN.id)
        await change.record("key.deleted", PLAIN, "{}", actor="ada")
    assert await store.keys.load_keys() == (2, [])
    assert await store.keys.changes_after(seq) == (2, [KeyRecord(PLAIN.id, None)])
    assert not await store.keys.has_secrets()
    tombstone = (await store.keys.find_deleted([PLAIN.id, "key_x"]))[PLAIN.id]
    assert (tombstone.name, tombstone.deleted_at) == ("Plain", clock.now_ms())
    assert [row.action for row in await store.keys.list_changes(key_id=PLAIN.id)] == [
        "key.deleted",
        "key.created",
    ]


async def test_changed_is_true_once_after_each_change(store: Store) -> None:
    await store.keys.changed()
    assert not await store.keys.changed()
    await save(store, PLAIN)
    assert await store.keys.changed()
    assert not await store.keys.changed()


async def test_the_change_log_is_paged_from_the_newest(store: Store) -> None:
    for number in range(5):
        await save(store, replace(PLAIN, revision=number))
    newest = await store.keys.list_changes(limit=2)
    assert [row.seq for row in newest] == [5, 4]
    assert [row.seq for row in await store.keys.list_changes(before=4, limit=9)] == [3, 2, 1]
