from dataclasses import replace

from gateway_proxy.core.key import Key
from gateway_proxy.core.ledger import EventRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import Store
from gateway_proxy.storage.maintenance import (
    clear_reserved,
    prune_events,
    prune_request_log,
    prune_secrets,
    prune_signing_keys,
    prune_tokens,
)
from tests.support.ephemeral import make_token_key, row_of, signer

MINUTE_MS = 60_000
START = 30_000_000 * MINUTE_MS


async def test_old_requests_go_in_bounded_steps_and_usage_stays(store: Store) -> None:
    logs = [
        LogRow(request_id=f"req_{n}", at=START + n * MINUTE_MS, gateway_id="g", key_id="key_1", admitted=True)
        for n in range(10)
    ]
    await store.ledger.append("g", Batch(logs=logs))
    before = START + 7 * MINUTE_MS
    assert [await prune_request_log(store.db, before, limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert await store.db.fetch("SELECT request_id FROM request_log ORDER BY at") == [
        ("req_7",),
        ("req_8",),
        ("req_9",),
    ]
    minutes = await store.db.fetch("SELECT DISTINCT minute FROM request_log_minutes ORDER BY minute")
    assert minutes == [(30_000_007,), (30_000_008,), (30_000_009,)]
    assert (await store.keys.stats(["key_1"]))["key_1"].requests == 10


async def test_handled_events_go_and_pending_ones_stay(store: Store) -> None:
    event = EventRow(id="evt_1", type="key.created", at=5, organization="o", key_id="k", dedupe="1", data={})
    events = [event, replace(event, id="evt_2", dedupe="2"), replace(event, id="evt_3", dedupe="3", at=10)]
    await store.outbox.add(events)
    await store.deliveries.spread([events[0], events[2]], lambda _: [("hook-1", "https://a")], 6)
    assert await prune_events(store.db, 6) == 0  # one is still on its way
    assert await prune_events(store.db, 10) == 1
    assert await store.db.fetch("SELECT id FROM outbox ORDER BY id") == [("evt_2",), ("evt_3",)]
    assert await store.db.fetch("SELECT * FROM deliveries") == []


async def test_the_events_of_a_total_budget_stay_as_long_as_the_key(store: Store) -> None:
    event = EventRow(
        id="evt_1", type="budget.exceeded", at=5, organization="o", key_id="key_1",
        dedupe="budget.exceeded:key_1:total:100:100", data={},
    )  # fmt: skip
    async with store.keys.change() as change:
        await change.save_key(Key(id="key_1", name="n", organization="o", owner="local"))
    await store.outbox.add([event])
    await store.deliveries.spread([event], lambda _: [], 5)
    assert await prune_events(store.db, 1000) == 0
    async with store.keys.change() as change:
        await change.delete_key("key_1")
    assert await prune_events(store.db, 1000) == 1


async def test_secrets_go_when_their_grace_is_over(store: Store) -> None:
    async with store.keys.change() as change:
        await change.save_key(Key(id="key_1", name="n", organization="o", owner="local"))
        await change.add_secret("key_1", b"1", "p")
        await change.retire_secrets("key_1", 100)
        await change.add_secret("key_1", b"2", "p")
    assert await prune_secrets(store.db, 99) == 0
    assert await prune_secrets(store.db, 100) == 1
    assert await store.keys.has_secrets()


async def test_expired_tokens_go_in_bounded_steps_and_their_usage_stays(store: Store) -> None:
    async with store.keys.change() as change:
        for number in range(5):
            await change.save_key(make_token_key(id=f"key_{number}", expires_at=100 + number))
        await change.save_key(Key(id="key_lasting", name="n", organization="o", owner="local", expires_at=1))
    log = LogRow(request_id="req_1", at=START, gateway_id="g", key_id="key_0", admitted=True)
    await store.ledger.append("g", Batch(logs=[log]))
    assert [await prune_tokens(store.db, 104, 500, limit=3) for _ in range(3)] == [3, 1, 0]
    assert {record.key_id for record in (await store.keys.load_keys())[1]} == {"key_lasting"}
    assert (await store.keys.find("key_4")) is not None
    assert (await store.keys.find_deleted(["key_0"]))["key_0"].deleted_at == 500
    assert (await store.keys.stats(["key_0"]))["key_0"].requests == 1


async def test_pairs_go_when_they_are_no_longer_believed(store: Store) -> None:
    async with store.keys.change() as change:
        await change.add_signing_key(row_of(signer(), 100))
        await change.add_signing_key(replace(row_of(signer()), kid="other"))
    await prune_signing_keys(store.db, 99)
    assert len(await store.db.fetch("SELECT kid FROM signing_keys")) == 2
    await prune_signing_keys(store.db, 100)
    assert await store.db.fetch("SELECT kid FROM signing_keys") == [("other",)]


async def test_what_an_earlier_process_had_reserved_is_cleared(store: Store) -> None:
    await store.ledger.append("g", Batch(reserved={"key_1": 5, "key_2": 0}))
    assert (await store.keys.stats(["key_1"]))["key_1"].reserved_nanos == 5
    await clear_reserved(store.db)
    assert (await store.keys.stats(["key_1"]))["key_1"].reserved_nanos == 0
