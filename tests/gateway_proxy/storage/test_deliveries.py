"""Deliveries: spread once, claimed by one, due again after a lease, listed, disabled."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage import Store
from gateway_proxy.storage.changes import list_changes
from gateway_proxy.storage.deliveries import Doer

DOER = Doer(FakeClock(), "o", "ada", "192.0.2.1")
EVENT = EventRow(
    id="evt_1", type="key.created", at=5, organization="o", key_id="k", dedupe="1", data={"key_id": "k"}
)
HOOKS = [("hook-1", "https://one"), ("hook-2", "https://two")]


async def spread(store: Store, *ids: str, hooks: Sequence[tuple[str, str]] = HOOKS, now_ms: int = 10) -> None:
    events = [replace(EVENT, id=id_, dedupe=id_) for id_ in ids]
    await store.outbox.add(events)
    await store.deliveries.spread(events, lambda _: hooks, now_ms)


async def claimed(
    store: Store, endpoint: str, now_ms: int, sender: str = "gtw_1", limit: int = 9
) -> list[str]:
    return [due.event.id for due in await store.deliveries.claim(endpoint, sender, now_ms, 100, limit)]


async def test_each_endpoint_gets_an_event_once(store: Store) -> None:
    await spread(store, "evt_1")
    await store.deliveries.spread([EVENT], lambda _: HOOKS, 99)  # another gateway did the same
    [due] = await store.deliveries.claim("hook-1", "gtw_1", 10, 100, 9)
    assert due.event == replace(EVENT, dedupe="evt_1") and due.attempts == 1
    assert await claimed(store, "hook-2", 10) == ["evt_1"]


async def test_what_is_claimed_is_due_again_when_its_lease_ends(store: Store) -> None:
    await spread(store, "evt_1", "evt_2", "evt_3")
    assert await claimed(store, "hook-1", 9) == []
    assert await claimed(store, "hook-1", 10, limit=2) == ["evt_1", "evt_2"]
    assert await claimed(store, "hook-1", 11, sender="gtw_2") == ["evt_3"]
    assert await claimed(store, "hook-1", 109) == []
    assert await store.deliveries.next_due("hook-1") == 110
    [first, _] = await store.deliveries.claim("hook-1", "gtw_2", 110, 100, 9)
    assert first.attempts == 2


async def test_a_gateway_that_starts_again_takes_up_what_it_had(store: Store) -> None:
    await spread(store, "evt_1", "evt_2", "evt_3")
    await claimed(store, "hook-1", 10, limit=2)
    await store.deliveries.retry("evt_2", "hook-1", 5000, 500, "answered 500")
    await claimed(store, "hook-1", 10, sender="gtw_2")
    await store.deliveries.release("gtw_1", 20)
    assert await claimed(store, "hook-1", 20) == [
        "evt_1"
    ]  # not what waits for its retry, nor what another one has


async def test_how_it_ended_is_kept(store: Store) -> None:
    await spread(store, "evt_1", "evt_2", "evt_3", hooks=HOOKS[:1])
    await claimed(store, "hook-1", 10)
    await store.deliveries.succeed("evt_1", "hook-1", 204)
    await store.deliveries.retry("evt_2", "hook-1", 500, None, "no answer")
    await store.deliveries.fail("evt_3", "hook-1", 400, "answered 400")
    found = {d.event_id: d for d in (await store.deliveries.search()).deliveries}
    assert [(d.state, d.status, d.error) for _, d in sorted(found.items())] == [
        ("delivered", 204, ""),
        ("pending", None, "no answer"),
        ("failed", 400, "answered 400"),
    ]
    assert found["evt_2"].next_at == 500 and found["evt_2"].attempted_at == 10
    assert await claimed(store, "hook-1", 499) == [] and await claimed(store, "hook-1", 500) == ["evt_2"]
    assert await store.deliveries.redeliver("evt_3", "hook-1", 550, DOER)
    [due] = await store.deliveries.claim("hook-1", "gtw_1", 550, 100, 9)
    assert (due.event.id, due.attempts) == ("evt_3", 1)
    assert not await store.deliveries.redeliver("evt_9", "hook-1", 600, DOER)


async def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled(store: Store) -> None:
    await spread(store, "evt_1")
    await store.deliveries.disable("hook-1", "answered 410", 20)
    assert await store.deliveries.disabled() == {"hook-1": "answered 410"}
    assert await claimed(store, "hook-1", 30) == [] and await store.deliveries.next_due("hook-1") is None
    await spread(store, "evt_2", now_ms=31)
    assert await claimed(store, "hook-2", 40) == ["evt_1", "evt_2"]
    assert await store.deliveries.enable("hook-1", DOER) and not await store.deliveries.enable("hook-1", DOER)
    assert await claimed(store, "hook-1", 40) == ["evt_1"]  # what happened meanwhile is not sent


async def test_the_list_is_newest_first_filtered_and_paged(store: Store) -> None:
    for n in range(1, 6):
        await spread(store, f"evt_{n}", now_ms=n * 10)
    seen, cursor = [], None
    while True:
        page = await store.deliveries.search(endpoint="hook-2", cursor=cursor, limit=2)
        seen += [d.event_id for d in page.deliveries]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]
    assert len((await store.deliveries.search(organization="o")).deliveries) == 10
    assert (await store.deliveries.search(organization="other")).deliveries == []
    assert (await store.deliveries.search(state="failed")).deliveries == []
    for wrong in ("", "1.2", "x.y.z", "1.2.3.4"):
        with pytest.raises(ValueError, match="cursor"):
            await store.deliveries.search(cursor=wrong)


async def test_a_single_delivery_goes_to_its_endpoint_only(store: Store) -> None:
    await store.deliveries.add_single(EVENT, "hook-1", "https://one", 10, DOER)
    assert await store.outbox.pending() == []
    assert await claimed(store, "hook-1", 10) == ["evt_1"] and await claimed(store, "hook-2", 10) == []
    found = await store.deliveries.find("evt_1", "hook-1", "o")
    assert found is not None and found.shown == "https://one"
    assert await store.deliveries.find("evt_1", "hook-1", "other") is None


async def test_what_admins_do_is_in_the_change_log(store: Store) -> None:
    await store.deliveries.add_single(EVENT, "hook-1", "https://one", 10, DOER)
    await store.deliveries.redeliver("evt_1", "hook-1", 20, DOER)
    await store.deliveries.disable("hook-1", "answered 410", 30)
    await store.deliveries.enable("hook-1", DOER)
    await store.deliveries.redeliver("evt_9", "hook-1", 20, DOER)  # nothing happened
    rows = await list_changes(store.db, after=0)
    assert [(row.action, row.subject, row.actor) for row in rows] == [
        ("endpoint.tested", "hook-1", "ada"),
        ("delivery.repeated", "hook-1", "ada"),
        ("endpoint.enabled", "hook-1", "ada"),
    ]


async def test_endpoints_are_shown_as_the_settings_name_them_now(store: Store) -> None:
    await store.deliveries.publish("o", [("hook-2", "webhook", "https://two", ("key.*",))])
    await store.deliveries.publish("*", [("service-1", "service", "slack://…", ("*",))])
    await store.deliveries.publish(
        "o", [("hook-1", "webhook", "https://one", ("*",)), ("hook-2", "webhook", "https://two", ("key.*",))]
    )
    await store.deliveries.disable("hook-2", "answered 410", 1)
    found = await store.deliveries.list_endpoints("o")
    assert [(e.id, e.disabled, e.events) for e in found] == [
        ("service-1", "", ("*",)),
        ("hook-1", "", ("*",)),
        ("hook-2", "answered 410", ("key.*",)),
    ]
    assert [e.id for e in await store.deliveries.list_endpoints("other")] == ["service-1"]
    assert len(await store.deliveries.list_endpoints()) == 3
