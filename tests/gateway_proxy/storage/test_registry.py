from dataclasses import replace

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, StoreConflict
from gateway_proxy.storage.registry import Gateway

GATEWAY = Gateway("gtw_1", "edge", "default", "0.1.0", 100, 200, 3, "cafe", "7:beef")


async def test_facts_and_the_demo_mark(store: Store) -> None:
    assert await store.registry.get_meta("created_by") is None
    await store.registry.set_meta("created_by", "0.1.0")
    await store.registry.set_meta("created_by", "0.2.0")
    assert await store.registry.get_meta("created_by") == "0.2.0"
    assert not await store.registry.is_demo()
    await store.registry.mark_demo()
    assert await store.registry.is_demo()


async def test_an_organization_is_made_once(store: Store) -> None:
    first = await store.registry.ensure_organization()
    assert await store.registry.ensure_organization() == first
    with pytest.raises(StoreConflict, match="default already"):
        await store.registry.add_organization("default")
    await store.registry.add_organization("acme")
    assert [organization.name for organization in await store.registry.list_organizations()] == [
        "acme",
        "default",
    ]


async def test_members_are_found_changed_and_removed(store: Store, clock: FakeClock) -> None:
    registry = store.registry
    ada = await registry.add_member("default", "ada@example.com", "Ada", "owner")
    await registry.add_member("acme", "ada@example.com")
    with pytest.raises(StoreConflict, match=r"ada@example\.com already"):
        await registry.add_member("default", "ada@example.com")
    assert await registry.find_member("default", "ada@example.com") == ada
    assert ada.created_at == clock.now_ms()
    assert len(await registry.list_members()) == 2
    assert await registry.list_members("default") == [ada]
    assert await registry.set_role(ada.id, "viewer")
    assert await registry.get_member(ada.id) == replace(ada, role="viewer")
    assert await registry.remove_member(ada.id)
    assert not await registry.remove_member(ada.id)
    assert await registry.get_member(ada.id) is None


async def test_a_heartbeat_reports_all_but_the_verdict(store: Store, clock: FakeClock) -> None:
    registry = store.registry
    assert await registry.heartbeat(GATEWAY) == GATEWAY
    assert await registry.change_gateway("gtw_1", "gateway.revoked", organization="default", actor="ada")
    later = replace(GATEWAY, last_seen_at=300, applied_seq=4, audit_head="8:f00d")
    assert await registry.heartbeat(later) == replace(later, revoked_at=clock.now_ms())
    assert await registry.change_gateway("gtw_1", "gateway.allowed", organization="default", actor="ada")
    assert await registry.list_gateways() == [later]
    assert await registry.forget_gateway("gtw_1")
    assert not await registry.forget_gateway("gtw_1")


async def test_what_is_done_to_a_gateway_is_written_down_once(store: Store) -> None:
    registry = store.registry
    await registry.heartbeat(GATEWAY)
    for act in (
        "gateway.revoked",
        "gateway.revoked",
        "gateway.allowed",
        "gateway.allowed",
        "gateway.forgotten",
    ):
        assert await registry.change_gateway("gtw_1", act, organization="acme", actor="ada", ip="192.0.2.1")
    assert not await registry.change_gateway("gtw_1", "gateway.revoked", organization="acme", actor="ada")
    changes = await store.keys.list_changes()
    assert [change.action for change in changes] == [
        "gateway.forgotten",
        "gateway.allowed",
        "gateway.revoked",
    ]
    assert {(c.organization, c.subject, c.actor, c.ip, c.key_id) for c in changes} == {
        ("acme", "gtw_1", "ada", "192.0.2.1", "")
    }
    assert await registry.list_gateways() == []


async def test_an_organization_sees_its_own_gateways_and_shared_ones(store: Store) -> None:
    for id_, organization in (("gtw_1", "default"), ("gtw_2", "acme"), ("gtw_3", "*")):
        await store.registry.heartbeat(replace(GATEWAY, id=id_, organization=organization))
    assert [gateway.id for gateway in await store.registry.list_gateways("acme")] == ["gtw_2", "gtw_3"]
    assert len(await store.registry.list_gateways()) == 3


async def test_audit_heads_outlive_the_gateway(store: Store) -> None:
    registry = store.registry
    gateway = Gateway("gtw_1", "one", "default", "1", 0, 5, 0, "digest")
    await registry.heartbeat(gateway)
    assert await registry.find_audit_head("gtw_1") == ""
    for head in ("1:aa", "2:bb"):
        await registry.heartbeat(replace(gateway, audit_head=head))
    await registry.heartbeat(gateway)  # one that has not opened its log yet takes nothing back
    await registry.forget_gateway("gtw_1")
    assert await registry.find_audit_head("gtw_1") == "2:bb"
    assert [head.gateway_id for head in await registry.list_audit_heads("default")] == ["gtw_1"]
    assert await registry.list_audit_heads("other") == []
    [head] = await registry.list_audit_heads()
    assert (head.name, head.organization, head.at) == ("one", "default", 5)
