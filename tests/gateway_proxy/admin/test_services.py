"""All services hang on one store, and owners are looked up in it."""

import dataclasses

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.services import build_admin, owner_finder
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store
from tests.support.admin import HOME, PEOPLE, PEPPER


async def test_every_service_is_built(scene) -> None:
    admin = build_admin(scene.store, PEPPER, FakeClock())
    missing = {field.name for field in dataclasses.fields(admin) if getattr(admin, field.name) is None}
    assert missing == {"oidc"}, "which the settings must ask for"


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


async def test_the_settings_say_where_links_lead_and_who_vouches(scene) -> None:
    config, clock = load_config(None), FakeClock()
    server = config.server.model_copy(update={"public_url": "https://gateway.example"})
    oidc = config.dashboard.oidc.model_copy(update={"issuer": "https://id.example", "client_id": "gateway"})
    dashboard = config.dashboard.model_copy(update={"oidc": oidc})
    admin = build_admin(
        scene.store, PEPPER, clock, config.model_copy(update={"server": server, "dashboard": dashboard})
    )
    assert admin.links.url("setup", "x") == "https://gateway.example/dashboard/setup/x"
    assert admin.oidc is not None
    assert build_admin(scene.store, PEPPER, clock, config).oidc is None
    bare = build_admin(scene.store, PEPPER, clock)
    assert bare.oidc is None and bare.links.url("setup", "x") == "/dashboard/setup/x"
