"""All services hang on one store, and owners are looked up in it."""

import dataclasses

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.services import build_admin, owner_finder
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store
from tests.support.admin import HOME, PEOPLE, PEPPER


async def test_every_service_is_built(scene) -> None:
    admin = build_admin(scene.store, PEPPER, FakeClock())
    assert all(getattr(admin, field.name) is not None for field in dataclasses.fields(admin))


async def test_an_owner_is_a_member_or_local(scene) -> None:
    find = owner_finder(scene.store)
    member = await scene.store.registry.find_member(HOME, PEOPLE[Role.ADMIN])
    assert await find(HOME, PEOPLE[Role.ADMIN]) == member.id
    assert await find(HOME, "local") == ""
    assert await find(HOME, "eve@example.com") is None


async def test_before_anybody_has_signed_up_any_owner_will_do(tmp_path) -> None:
    store: Store = await open_store(f"sqlite:{tmp_path}/empty.db", migrate=True)
    try:
        assert await owner_finder(store)(HOME, "eve@example.com") == ""
    finally:
        await store.close()
