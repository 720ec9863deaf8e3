import json
import re

import pytest

from gateway_proxy.admin.actor import Actor, Role
from tests.support.dashboard import OWNER, Dashboard, acting_as


@pytest.fixture
async def site(dashboard: Dashboard) -> Dashboard:
    """Ada, who owns the organization and is signed in, and Bob, a member."""
    async with dashboard.store.identity.change() as change:
        await change.ensure_organization("default")
    ada = await dashboard.store.registry.add_member("default", "ada@example.com", "Ada", "owner")
    await dashboard.store.registry.add_member("default", "bob@example.com", "Bob <i>", "member")
    dashboard.actor = Actor(
        name=OWNER.name, role=Role.OWNER, organization="default", member_id=ada.id, email=OWNER.email
    )
    return dashboard


async def find_id(site: Dashboard, email: str) -> str:
    member = await site.store.registry.find_member("default", email)
    assert member is not None
    return member.id


async def test_the_list_searches_and_comes_as_a_file(site: Dashboard) -> None:
    page = await site.get("/members")
    assert "Bob &lt;i&gt;" in page.text and "ada@example.com" in page.text
    page = await site.get("/members?search=BOB&status=invited")
    assert "bob@example.com" in page.text and "ada@example.com</span>" not in page.text.split("<main")[1]
    assert "Nobody matches" in (await site.get("/members?search=nobody")).text
    page = await site.get("/members?search=bob&format=json")
    assert [row["email"] for row in json.loads(page.text)["data"]] == ["bob@example.com"]
    assert (await site.get("/members?status=dead")).status == 400


async def test_an_invitation_shows_its_link_once(site: Dashboard) -> None:
    page = await site.post("/members", {"email": " New@Example.com ", "name": "New", "role": "viewer"})
    assert page.status == 200
    link = re.search(r"http://[^<]+/dashboard/invite/[\w-]{43}", page.text)
    assert link
    assert link.group() not in (await site.get("/members")).text
    member = await site.store.registry.find_member("default", "new@example.com")
    assert member and member.role == "viewer"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"email": "nonsense", "role": "member"}, "email-error"),
        ({"email": "x@example.com", "role": "king"}, "role-error"),
        ({"email": "bob@example.com", "role": "member"}, 'role="alert"'),
        ({}, "email-error"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    site: Dashboard, form: dict[str, str], told: str
) -> None:
    page = await site.post("/members", {"name": "Kept", **form})
    assert page.status == 422
    assert told in page.text
    assert 'value="Kept"' in page.text


async def test_a_role_is_changed_and_the_last_owner_stays(site: Dashboard) -> None:
    bob = await find_id(site, "bob@example.com")
    page = await site.post(f"/members/{bob}", {"name": "Robert", "role": "admin"})
    assert (page.status, page.location) == (303, "/dashboard/members")
    member = await site.store.registry.find_member("default", "bob@example.com")
    assert member and (member.name, member.role) == ("Robert", "admin")
    ada = await find_id(site, "ada@example.com")
    page = await site.post(f"/members/{ada}", {"name": "Ada", "role": "member"})
    assert page.status == 422
    assert "last owner" in page.text


async def test_a_new_link_replaces_the_lost_one(site: Dashboard) -> None:
    page = await site.post(f"/members/{await find_id(site, 'bob@example.com')}/link")
    assert "/dashboard/invite/" in page.text


async def test_a_removal_asks_about_the_keys_and_does_what_was_chosen(site: Dashboard) -> None:
    key = await site.admin.keys.create(site.actor, {"name": "Bob's", "owner": "bob@example.com"})
    bob = await find_id(site, "bob@example.com")
    assert "What becomes of their keys?" in (await site.get(f"/members/{bob}/remove")).text
    page = await site.post(f"/members/{bob}/remove", {"keys": "transfer"})
    assert page.status == 422
    assert "transfer_to-error" in page.text
    page = await site.post(f"/members/{bob}/remove", {"keys": "transfer", "transfer_to": "ada@example.com"})
    assert page.status == 303
    assert await site.store.registry.find_member("default", "bob@example.com") is None
    assert (await site.admin.keys.find(site.actor, key.key["id"]))["owner"] == "ada@example.com"


async def test_a_removal_deactivates_keys_unless_told_otherwise(site: Dashboard) -> None:
    key = await site.admin.keys.create(site.actor, {"name": "Bob's", "owner": "bob@example.com"})
    await site.post(f"/members/{await find_id(site, 'bob@example.com')}/remove", {"keys": "deactivate"})
    assert (await site.admin.keys.find(site.actor, key.key["id"]))["status"] == "inactive"


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
async def test_others_may_neither_invite_nor_change_nor_remove(site: Dashboard, role: Role) -> None:
    ada = await find_id(site, "ada@example.com")
    site.actor = acting_as(role, "bob@example.com")
    assert "Invite a member" not in (await site.get("/members")).text
    assert (await site.get("/members/invite")).status == 403
    assert (await site.post("/members", {"email": "x@example.com", "role": "member"})).status == 403
    for act in ("", "/link", "/remove"):
        page = await site.post(f"/members/{ada}{act}", {"name": "X", "role": "member", "keys": "deactivate"})
        assert page.status in (403, 404)
    assert (await site.get(f"/members/{ada}/remove")).status == 403
    member = await site.store.registry.find_member("default", "ada@example.com")
    assert member and (member.name, member.role) == ("Ada", "owner")


async def test_an_unknown_member_is_not_found(site: Dashboard) -> None:
    assert (await site.get("/members/mem_none")).status == 404
