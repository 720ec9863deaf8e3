from dataclasses import replace

from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage import Store

EVENT = EventRow(
    id="evt_1", type="budget.threshold", at=50, organization="o", key_id="k", dedupe="a", data={"percent": 80}
)


async def test_an_event_is_pending_until_it_was_handed_on(store: Store) -> None:
    assert await store.outbox.add([EVENT, replace(EVENT, id="evt_2", at=40, dedupe="b")]) == 2
    assert await store.outbox.add([replace(EVENT, id="evt_3")]) == 0
    pending = await store.outbox.pending()
    assert [event.id for event in pending] == ["evt_2", "evt_1"] and pending[1] == EVENT
    assert [event.id for event in await store.outbox.pending(limit=1)] == ["evt_2"]
    await store.deliveries.spread(pending, lambda _: [], 60)
    assert await store.outbox.pending() == []


async def test_an_organization_has_its_own_events_and_those_of_none(store: Store) -> None:
    for n, organization in enumerate(("o", "other", "")):
        await store.outbox.add([replace(EVENT, id=f"evt_{n}", dedupe=str(n), organization=organization)])
    assert [event.organization for event in await store.outbox.pending("o")] == ["o", ""]


async def test_a_handled_occasion_does_not_fire_again(store: Store) -> None:
    await store.outbox.add([EVENT])
    await store.deliveries.spread([EVENT], lambda _: [], 60)
    assert await store.outbox.add([replace(EVENT, id="evt_9")]) == 0
