from dataclasses import replace

from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage import Store

EVENT = EventRow(
    id="evt_1", type="budget.threshold", at=50, organization="o", key_id="k", dedupe="a", data={"percent": 80}
)


async def test_an_event_is_due_until_it_was_handed_on(store: Store) -> None:
    assert await store.outbox.add([EVENT, replace(EVENT, id="evt_2", at=40, dedupe="b")]) == 2
    assert await store.outbox.add([replace(EVENT, id="evt_3")]) == 0
    assert await store.outbox.due(39) == []
    due = await store.outbox.due(50)
    assert [pending.event.id for pending in due] == ["evt_2", "evt_1"]
    assert due[1].event == EVENT
    await store.outbox.finish("evt_2")
    await store.outbox.retry("evt_1", 100)
    assert await store.outbox.due(99) == []
    (pending,) = await store.outbox.due(100)
    assert (pending.event.id, pending.attempts) == ("evt_1", 1)
    await store.outbox.give_up("evt_1")
    assert await store.outbox.due(1000) == []


async def test_a_handled_occasion_does_not_fire_again(store: Store) -> None:
    await store.outbox.add([EVENT])
    await store.outbox.finish("evt_1")
    assert await store.outbox.add([replace(EVENT, id="evt_9")]) == 0
