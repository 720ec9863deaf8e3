"""Events from the change log, once each, and the keys that are about to expire."""

from dataclasses import replace

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage import Store, occasions
from gateway_proxy.storage.changes import ChangeRow, record_change
from gateway_proxy.storage.occasions import DAY_MS, KeyFacts, announce_changes, list_expiring

KEY = Key(id="key_1", name="alpha", organization="o", owner="ada", preview="gwk_AbCd…wxyz")


def describe(change: ChangeRow, key: KeyFacts) -> EventRow:
    return EventRow(
        id=f"evt_{change.seq}", type=change.action, at=change.at, organization=change.organization,
        key_id=change.key_id, dedupe=f"change:{change.seq}", data={"name": key.name, "preview": key.preview},
    )  # fmt: skip


async def act(store: Store, action: str, key: Key = KEY, *, delete: bool = False) -> None:
    async with store.keys.change() as change:
        await change.save_key(key)
        if delete:
            await change.delete_key(key.id)
        await change.record(action, key, "{}", actor="ada")


async def announced(store: Store, organization: str | None = "o") -> list[tuple[str, dict]]:
    while await announce_changes(store.db, organization, describe):
        pass
    return [(event.type, event.data) for event in await store.outbox.pending()]


async def test_history_is_no_news_and_each_act_is_announced_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occasions, "_BATCH", 2)
    await act(store, "key.created")
    assert await announced(store) == []
    for action in ("key.updated", "key.minted", "key.rotated", "key.revoked"):
        await act(store, action)
    await act(store, "key.deleted", delete=True)
    facts = {"name": "alpha", "preview": "gwk_AbCd…wxyz"}
    expected = [(f"key.{verb}", facts) for verb in ("updated", "rotated", "revoked", "deleted")]
    assert await announced(store) == expected
    assert await announced(store) == expected
    assert await announced(store, None) == expected  # another gateway, that serves all, begins here


async def test_only_acts_on_keys_of_the_organization_count(store: Store, clock: FakeClock) -> None:
    await announced(store)
    await act(store, "key.created", replace(KEY, id="key_2", organization="other"))
    async with store.db.transaction() as tx:
        await record_change(
            tx, clock, "member.added", organization="o", actor="ada", details="{}", subject="mem_1"
        )
    assert await announced(store) == []


async def test_a_restored_change_log_is_followed_from_its_end(store: Store) -> None:
    await store.registry.set_meta("announced_changes:o", "50")
    await act(store, "key.created")
    assert await announced(store) == []
    await act(store, "key.updated")
    assert [type_ for type_, _ in await announced(store)] == ["key.updated"]


async def test_expiring_keys_are_found_until_they_were_announced(store: Store) -> None:
    now = 100 * DAY_MS
    async with store.keys.change() as change:
        for name, expires_at, members in (
            ("soon", now + DAY_MS, {}),
            ("later", now + 3 * DAY_MS, {}),
            ("never", None, {}),
            ("over", now - 1, {}),
            ("revoked", now + DAY_MS, {"revoked_at": 5}),
            ("short", now + DAY_MS, {"created_at": now}),
            ("token", now + DAY_MS, {"kind": "ephemeral"}),
            ("foreign", now + DAY_MS, {"organization": "other"}),
        ):
            await change.save_key(replace(KEY, id=name, expires_at=expires_at, **members))
    found = await list_expiring(store.db, "o", 1, now, now + DAY_MS)
    assert [key.id for key in found] == ["soon"]
    assert [key.id for key in await list_expiring(store.db, "o", 7, now + DAY_MS, now + 7 * DAY_MS)] == [
        "later"
    ]
    assert [key.id for key in await list_expiring(store.db, None, 1, now, now + DAY_MS)] == [
        "foreign",
        "soon",
    ]
    event = EventRow(
        id="evt_1", type="key.expiring", at=now, organization="o", key_id="soon",
        dedupe=f"key.expiring:soon:{now + DAY_MS}:1", data={},
    )  # fmt: skip
    await store.outbox.add([event])
    assert await list_expiring(store.db, "o", 1, now, now + DAY_MS) == []
