"""What `KeyReader`, `KeyWriter` and `Change` promise, on every backend."""

import asyncio
from dataclasses import replace

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.core.store import KeyRecord, SigningKey, StoredSecret
from gateway_proxy.storage import Store, StoreConflict
from gateway_proxy.storage.registry import Gateway

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
    generation=4,
    fading=((3, 1_790_000_000_005), (2, 1_790_000_000_004)),
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
    async with asyncio.timeout(20):  # a server's news takes its way
        while not await store.keys.changed():
            await store.keys.wait_for_news()
    assert not await store.keys.changed()


async def test_the_change_log_is_paged_from_the_newest(store: Store) -> None:
    for number in range(5):
        await save(store, replace(PLAIN, revision=number))
    newest = await store.keys.list_changes(limit=2)
    assert [row.seq for row in newest] == [5, 4]
    assert [row.seq for row in await store.keys.list_changes(before=4, limit=9)] == [3, 2, 1]


def token(number: int, **members) -> Key:
    return replace(
        FULL,
        **{"id": f"key_t{number}", "parent_id": "key_plain", "revoked_at": None, "revision": 1, **members},
    )


async def test_the_tokens_of_a_key_end_with_it(store: Store, clock: FakeClock) -> None:
    now_ms = clock.now_ms()
    await save(store, PLAIN)
    await save(store, token(1, expires_at=now_ms + 100))
    await save(store, token(2, expires_at=now_ms + 5))
    await save(store, token(3, parent_id="key_other", expires_at=now_ms + 100))
    async with store.keys.change() as change:
        assert await change.has_tokens("key_plain", now_ms, 2) and not await change.has_tokens(
            "key_plain", now_ms, 3
        )
        assert not await change.has_tokens("key_plain", now_ms + 5, 2)
        await change.end_tokens("key_plain", now_ms + 50, revoked=False)
        assert [(await change.find_key(f"key_t{n}")).expires_at - now_ms for n in (1, 2, 3)] == [50, 5, 100]
        assert [(await change.find_key(f"key_t{n}")).revision for n in (1, 2, 3)] == [2, 1, 1]
        await change.end_tokens("key_plain", now_ms + 10, revoked=True)
        assert [(await change.find_key(f"key_t{n}")).revoked_at for n in (1, 2, 3)] == [
            now_ms + 10,
            None,
            None,
        ]
        assert not await change.has_tokens("key_plain", now_ms + 5, 1)


async def test_expired_tokens_are_not_loaded(store: Store, clock: FakeClock) -> None:
    await save(store, token(1, expires_at=clock.now_ms()))
    await save(store, token(2, expires_at=clock.now_ms() + 1))
    await save(store, replace(PLAIN, expires_at=1))
    assert [record.key_id for record in (await store.keys.load_keys())[1]] == ["key_plain", "key_t2"]


async def test_deleted_keys_are_remembered_by_time(store: Store, clock: FakeClock) -> None:
    await save(store, PLAIN)
    async with store.keys.change() as change:
        await change.delete_key(PLAIN.id)
    assert await store.keys.deleted_since(clock.now_ms()) == ["key_plain"]
    assert await store.keys.deleted_since(clock.now_ms() + 1) == []


async def test_signing_keys_are_believed_until_they_are_retired(store: Store, clock: FakeClock) -> None:
    now_ms = clock.now_ms()
    first = SigningKey("kid_1", "gtw_1", b"\x01" * 32, now_ms)
    other = SigningKey("kid_2", "gtw_2", b"\x02" * 32, now_ms)
    async with store.keys.change() as change:
        for row in (first, other):
            await change.add_signing_key(row)
        assert (
            await change.find_signing_key("kid_1") == first and await change.find_signing_key("kid") is None
        )
    async with store.keys.change() as change:
        await change.retire_signing_keys("gtw_1", now_ms + 100)
        await change.retire_signing_keys("gtw_1", now_ms + 200)  # never prolongs
        assert await change.record_rotation("gtw_1", "default", "{}", actor="ada") == 1
    by_kid = {row.kid: row for row in await store.keys.signing_keys()}
    assert by_kid == {"kid_1": replace(first, believed_until=now_ms + 100), "kid_2": other}
    clock.advance(0.1)
    assert await store.keys.signing_keys() == [other]
    assert (await store.keys.changes_after(0)) == (1, [])


async def test_the_pair_of_a_revoked_gateway_is_not_believed(store: Store, clock: FakeClock) -> None:
    row = SigningKey("kid_1", "gtw_1", b"\x01" * 32, 0)
    async with store.keys.change() as change:
        await change.add_signing_key(row)
    await store.registry.heartbeat(Gateway("gtw_1", "g", "default", "1", 0, 0, 0, "", ""))
    assert await store.keys.signing_keys() == [row]
    await store.db.execute("UPDATE gateways SET revoked_at = 1")
    assert await store.keys.signing_keys() == []
