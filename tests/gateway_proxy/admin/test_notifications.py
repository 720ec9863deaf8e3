"""Endpoints, the delivery log, and tests of an endpoint as a gateway in another process carries them out."""

import asyncio

import pytest

from gateway_proxy.admin import notifications as module
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import Invalid, NotAllowed, NotFound
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage.changes import list_changes
from tests.support.admin import FOREIGN, actor_of

OWNER, VIEWER, MEMBER = actor_of(Role.OWNER), actor_of(Role.VIEWER), actor_of(Role.MEMBER)
ELSEWHERE = actor_of(Role.OWNER, FOREIGN)


@pytest.fixture
async def deliveries(scene):
    """The store's side, with one endpoint and one delivery that failed."""
    deliveries = scene.store.deliveries
    await deliveries.publish("default", [("hook-1", "webhook", "https://one/", ("key.*",))])
    event = EventRow(
        id="evt_1", type="key.created", at=1, organization="default", key_id="key_1", dedupe="1", data={}
    )
    await scene.store.outbox.add([event])
    await deliveries.spread([event], lambda _: [("hook-1", "https://one/")], scene.clock.now_ms())
    await deliveries.claim("hook-1", "gtw_1", scene.clock.now_ms(), 1000, 9)
    await deliveries.fail("evt_1", "hook-1", 500, "answered 500")
    return deliveries


async def test_readers_see_endpoints_and_deliveries_of_their_organization(scene, deliveries) -> None:
    service = scene.admin.notifications
    [endpoint] = await service.endpoints(VIEWER)
    assert endpoint == {
        "id": "hook-1", "kind": "webhook", "name": "https://one/", "organization": "default",
        "events": ["key.*"], "status": "enabled", "disabled_reason": None,
    }  # fmt: skip
    [delivery] = (await service.deliveries(VIEWER)).data
    assert delivery["id"] == "evt_1.hook-1" and delivery["type"] == "key.created"
    assert (delivery["state"], delivery["http_status"], delivery["error"]) == ("failed", 500, "answered 500")
    assert delivery["next_at"] is None
    assert await service.endpoints(ELSEWHERE) == [] and (await service.deliveries(ELSEWHERE)).data == []
    for look in (service.endpoints, service.deliveries):
        with pytest.raises(NotAllowed):
            await look(MEMBER)
    with pytest.raises(Invalid):
        await service.deliveries(OWNER, cursor="x")


async def test_a_test_is_sent_by_the_gateway_and_waited_for(scene, deliveries) -> None:
    async def gateway() -> None:
        while not (due := await deliveries.claim("hook-1", "gtw_1", scene.clock.now_ms(), 1000, 9)):
            await asyncio.sleep(0.005)
        assert due[0].event.type == "notification.test" and due[0].event.data == {"actor": OWNER.name}
        await deliveries.succeed(due[0].event.id, "hook-1", 204)

    shown, _ = await asyncio.gather(scene.admin.notifications.send_test(OWNER, "hook-1"), gateway())
    assert (shown["state"], shown["http_status"]) == ("delivered", 204)
    assert await scene.store.outbox.pending() == []


async def test_without_a_gateway_a_test_stays_pending(scene, deliveries, monkeypatch) -> None:
    monkeypatch.setattr(module, "TEST_WAIT_SECONDS", 0.05)
    shown = await scene.admin.notifications.send_test(OWNER, "hook-1")
    assert shown["state"] == "pending" and shown["next_at"]


async def test_redelivery_keeps_the_id(scene, deliveries) -> None:
    shown = await scene.admin.notifications.redeliver(OWNER, "evt_1.hook-1")
    assert (shown["event_id"], shown["state"], shown["attempts"]) == ("evt_1", "pending", 0)
    for unknown in ("evt_9.hook-1", "evt_1", "", "evt_1.hook-9"):
        with pytest.raises(NotFound):
            await scene.admin.notifications.redeliver(OWNER, unknown)


async def test_a_disabled_endpoint_is_enabled(scene, deliveries) -> None:
    await deliveries.disable("hook-1", "answered 410", 1)
    [endpoint] = await scene.admin.notifications.endpoints(OWNER)
    assert (endpoint["status"], endpoint["disabled_reason"]) == ("disabled", "answered 410")
    assert (await scene.admin.notifications.enable(OWNER, "hook-1"))["status"] == "enabled"
    [act] = await list_changes(scene.store.db, limit=1)
    assert (act.action, act.subject, act.actor) == ("endpoint.enabled", "hook-1", OWNER.name)


@pytest.mark.parametrize("actor", [VIEWER, MEMBER])
async def test_only_owners_and_admins_act(scene, deliveries, actor) -> None:
    service = scene.admin.notifications
    for act, id_ in (
        (service.send_test, "hook-1"),
        (service.enable, "hook-1"),
        (service.redeliver, "evt_1.hook-1"),
    ):
        with pytest.raises(NotAllowed):
            await act(actor, id_)


async def test_foreign_endpoints_and_deliveries_do_not_exist(scene, deliveries) -> None:
    service = scene.admin.notifications
    for act, id_ in (
        (service.send_test, "hook-1"),
        (service.enable, "hook-1"),
        (service.redeliver, "evt_1.hook-1"),
    ):
        with pytest.raises(NotFound):
            await act(ELSEWHERE, id_)
