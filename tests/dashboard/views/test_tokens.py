import re

import pytest

from gateway_proxy.admin.actor import Actor, Role
from tests.support.dashboard import OWNER, Dashboard, acting_as

SECRET = re.compile(r"gwa_[0-9A-Za-z]{49}")


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    async with dashboard.store.identity.change() as change:
        await change.ensure_organization("default")
    ada = await dashboard.store.registry.add_member("default", OWNER.email, "Ada", "owner")
    dashboard.actor = Actor(
        name=OWNER.name, role=Role.OWNER, organization="default", member_id=ada.id, email=OWNER.email
    )
    return dashboard


async def test_a_token_is_made_with_its_secret_shown_once_and_revoked(site: Dashboard) -> None:
    assert "No admin tokens" in (await site.get("/settings/tokens")).text
    page = await site.post(
        "/settings/tokens", {"name": "CI <b>", "role": "viewer", "expires_in": "30d", "member": ""}
    )
    found = SECRET.search(page.text)
    assert found
    assert await site.admin.tokens.authenticate(found.group(), "")
    page = await site.get("/settings/tokens")
    assert "CI &lt;b&gt;" in page.text and not SECRET.search(page.text)
    assert SECRET.search((await site.get("/settings/tokens?format=csv")).text) is None
    address = re.search(r"/settings/tokens/tok_\w+/revoke", page.text)
    assert address
    assert "refused from now on" in (await site.get(address.group())).text
    assert (await site.post(address.group())).location == "/dashboard/settings/tokens"
    assert await site.admin.tokens.authenticate(found.group(), "") is None


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"role": "king", "expires_in": "30d"}, "role"),
        ({"role": "viewer", "expires_in": "soon"}, "expires_in"),
        ({"role": "viewer", "expires_in": "30d", "member": "nobody@example.com"}, "member"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    site: Dashboard, form: dict[str, str], field: str
) -> None:
    page = await site.post("/settings/tokens", {"name": "Kept", **form})
    assert page.status == 422
    assert f'id="{field}-error"' in page.text
    assert 'value="Kept"' in page.text


async def test_others_see_and_end_their_own_tokens_only(site: Dashboard) -> None:
    made = await site.admin.tokens.create(
        site.actor, {"role": "owner", "member": OWNER.email, "expires_in": "never"}
    )
    site.actor = acting_as(Role.MEMBER)
    assert made.token["preview"] not in (await site.get("/settings/tokens")).text
    address = f"/settings/tokens/{made.token['id']}/revoke"
    assert (await site.get(address)).status == 404
    assert (await site.post(address)).status == 404
    assert 'name="member" value="eve@example.com"' in (await site.get("/settings/tokens/new")).text
