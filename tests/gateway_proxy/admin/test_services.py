import pytest

from gateway_proxy.admin.services import build_admin, owner_finder
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store
from tests.gateway_proxy.admin.conftest import PEPPER


async def test_the_settings_say_where_links_lead_and_who_vouches(store: Store, clock: FakeClock) -> None:
    config = load_config(None)
    server = config.server.model_copy(update={"public_url": "https://gateway.example"})
    oidc = config.dashboard.oidc.model_copy(update={"issuer": "https://id.example", "client_id": "gateway"})
    dashboard = config.dashboard.model_copy(update={"oidc": oidc})
    admin = build_admin(
        store, PEPPER, clock, config.model_copy(update={"server": server, "dashboard": dashboard})
    )
    assert admin.links.url("setup", "x") == "https://gateway.example/dashboard/setup/x"
    assert admin.oidc is not None
    assert build_admin(store, PEPPER, clock, config).oidc is None
    bare = build_admin(store, PEPPER, clock)
    assert bare.oidc is None and bare.links.url("setup", "x") == "/dashboard/setup/x"


@pytest.mark.parametrize(("owner", "known"), [("local", ""), ("eve@example.com", None)])
async def test_owners_are_members_once_there_are_members(store: Store, owner: str, known: str | None) -> None:
    find = owner_finder(store)
    assert await find("default", owner) == ""
    ada = await store.registry.add_member("default", "ada@example.com", "Ada", "owner")
    assert await find("default", "ada@example.com") == ada.id
    assert await find("default", owner) == known
