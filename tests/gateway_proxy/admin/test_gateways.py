"""When a change is live, and what managers may do with gateways."""

import asyncio
from dataclasses import replace

import pytest

from gateway_proxy.admin import gateways
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.gateways import gateway_object, wait_until_live
from gateway_proxy.admin.paging import Listing
from gateway_proxy.admin.problem import NotAllowed, NotFound
from gateway_proxy.core.ids import new_id
from gateway_proxy.storage.key_search import KeyQuery
from gateway_proxy.storage.registry import LIVE_MS, Gateway
from tests.support.admin import FOREIGN, HOME, actor_of


@pytest.fixture
def attach(scene):
    async def attach(organization: str = HOME, **members) -> Gateway:
        now_ms = scene.clock.now_ms()
        gateway = Gateway(new_id("gtw"), "edge", organization, "1.0", now_ms, now_ms, 0, "d1")
        return await scene.store.registry.heartbeat(replace(gateway, **members))

    return attach


async def test_a_change_is_live_once_every_attached_gateway_has_it(scene, attach) -> None:
    await attach(applied_seq=5)
    late = await attach(applied_seq=4)
    await attach(FOREIGN, applied_seq=0)
    await attach(applied_seq=0, last_seen_at=scene.clock.now_ms() - LIVE_MS - 1)
    registry = scene.store.registry
    asked = asyncio.gather(wait_until_live(registry, scene.clock, HOME, 5))
    await asyncio.sleep(0)
    await registry.heartbeat(replace(late, applied_seq=5))
    [live] = await asked
    assert (live.gateways, live.acked) == (2, 2)


async def test_one_that_does_not_follow_is_not_waited_for_longer(scene, attach, monkeypatch) -> None:
    monkeypatch.setattr(gateways, "LIVE_WAIT_SECONDS", 0.05)
    await attach(applied_seq=4)
    live = await wait_until_live(scene.store.registry, scene.clock, HOME, 5)
    assert (live.gateways, live.acked) == (1, 0)
    live = await wait_until_live(scene.store.registry, scene.clock, HOME, 5, wait=False)
    assert (live.gateways, live.acked) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "healthy"),
        ({"applied_seq": 8}, "pending"),
        ({"applied_seq": 8, "last_seen_at": 984_999}, "offline"),
        ({"last_seen_at": 985_000}, "healthy"),
        ({"revoked_at": 5, "last_seen_at": 0}, "revoked"),
    ],
)
def test_status(changes: dict[str, int], status: str) -> None:
    gateway = Gateway("gtw_1", "edge", HOME, "1.0", 1_000, 1_000_000, 9, "d1")
    assert gateway_object(replace(gateway, **changes), 1_000_000, 9, "d1")["status"] == status


async def test_what_is_done_is_done_and_written_down(scene, attach) -> None:
    gateway = await attach(applied_seq=0)
    service, owner = scene.admin.gateways, actor_of(Role.OWNER)
    assert (await service.revoke(owner, gateway.id))["status"] == "revoked"
    assert (await service.search(owner, Listing(), "revoked")).data == [await service.find(owner, gateway.id)]
    assert (await service.search(owner, Listing(), "healthy")).data == []
    assert (await service.allow(owner, gateway.id))["revoked_at"] is None
    await service.forget(owner, gateway.id)
    with pytest.raises(NotFound):
        await service.find(owner, gateway.id)
    changes = await scene.store.keys.list_changes()
    assert [(c.action, c.actor, c.subject, c.organization) for c in changes] == [
        (f"gateway.{act}", owner.name, gateway.id, HOME) for act in ("forgotten", "allowed", "revoked")
    ]


@pytest.mark.parametrize("act", ["revoke", "allow", "forget"])
async def test_only_managers_act_and_only_on_their_own(scene, attach, act: str) -> None:
    own, foreign, shared = await attach(), await attach(FOREIGN), await attach("*")
    do = getattr(scene.admin.gateways, act)
    with pytest.raises(NotAllowed):
        await do(actor_of(Role.VIEWER), own.id)
    with pytest.raises(NotAllowed):
        await do(actor_of(Role.MEMBER), own.id)
    with pytest.raises(NotFound):
        await do(actor_of(Role.OWNER), foreign.id)
    with pytest.raises(NotAllowed, match="every organization"):
        await do(actor_of(Role.OWNER), shared.id)
    await do(actor_of(Role.OWNER, None), shared.id)
    assert len(await scene.store.keys.list_changes()) == (act != "allow")


async def test_members_do_not_see_gateways(scene, attach) -> None:
    gateway = await attach()
    with pytest.raises(NotAllowed):
        await scene.admin.gateways.search(actor_of(Role.MEMBER), Listing())
    with pytest.raises(NotAllowed):
        await scene.admin.gateways.find(actor_of(Role.MEMBER), gateway.id)


async def test_settings_that_differ_from_the_others_are_told(scene, attach) -> None:
    service, owner = scene.admin.gateways, actor_of(Role.OWNER)
    for digest in ("d1", "d1", "d2"):
        await attach(config_digest=digest, name=digest, providers=(("openai", "up"), ("azure", "down")))
    await attach(config_digest="d3", name="gone", last_seen_at=0)

    async def differing() -> list[str]:
        return [
            shown["name"]
            for shown in (await service.search(owner, Listing())).data
            if shown["config_differs"]
        ]

    assert await differing() == ["d2"]
    assert (await service.search(owner, Listing())).data[0]["providers"] == [
        {"name": "openai", "health": "up"},
        {"name": "azure", "health": "down"},
    ]
    await attach(config_digest="d2", name="d2")
    assert await differing() == ["d1", "d1", "d2", "d2"]  # nobody can say which is meant


async def test_where_keys_are_live(scene, attach) -> None:
    owner = actor_of(Role.OWNER)
    first, second = [(await scene.admin.keys.create(owner, {"name": name})).key["id"] for name in "ab"]
    newest = await scene.store.keys.last_sequence()
    await attach(applied_seq=newest)
    await attach(applied_seq=newest - 1)
    await attach(FOREIGN, applied_seq=0)
    listed = (await scene.admin.keys.search(owner, KeyQuery())).keys
    live = {first: {"gateways": 2, "acked": 2}, second: {"gateways": 2, "acked": 1}}
    assert {key["id"]: key["live_on"] for key in listed} == live
    assert {key_id: (await scene.admin.keys.find(owner, key_id))["live_on"] for key_id in live} == live
