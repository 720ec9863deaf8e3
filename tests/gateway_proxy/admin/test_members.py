import json

import pytest

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.problem import Conflict, Invalid, NotAllowed, NotFound, TooMany
from gateway_proxy.admin.services import Admin
from gateway_proxy.storage import Store
from gateway_proxy.storage.key_search import KeyQuery
from tests.gateway_proxy.admin.conftest import CLI, PASSWORD, join, secret_of

NEW = "another long passphrase"


async def test_an_invited_member_becomes_active_by_the_link(admin: Admin, owner: Actor) -> None:
    invited = await admin.members.add(owner, {"email": " Bob@Example.com ", "name": "Bob", "role": "admin"})
    assert invited.member["email"] == "bob@example.com"
    assert (invited.member["status"], invited.member["role"]) == ("invited", "admin")
    assert invited.link.startswith("/dashboard/invite/")
    done = await admin.links.accept(
        "invite", secret_of(invited.link), password=PASSWORD, ip="", user_agent=""
    )
    shown = await admin.members.find(owner, done.actor.member_id)
    assert shown["status"] == "active" and shown["last_sign_in_at"] is not None
    assert [member["email"] for member in await admin.members.list(owner)] == [
        "ada@example.com",
        "bob@example.com",
    ]
    assert await admin.members.list(owner, search="BOB") == [shown]
    assert await admin.members.list(owner, status="invited") == []


async def test_the_same_address_may_be_in_several_organizations_but_once_in_each(
    admin: Admin, owner: Actor
) -> None:
    with pytest.raises(Conflict, match=r"ada@example\.com already"):
        await admin.members.add(owner, {"email": "ADA@example.com"})
    await admin.organizations.add(owner, {"name": "acme"})
    await admin.members.add(CLI, {"email": "ada@example.com", "organization": "acme"})
    with pytest.raises(Conflict, match="several organizations"):
        await admin.members.find_by_email(CLI, "ada@example.com")
    assert (await admin.members.find_by_email(owner, "ADA@example.com"))["organization"] == "default"
    with pytest.raises(NotFound):
        await admin.members.find_by_email(owner, "eve@example.com")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "email"), ({"email": "ada"}, "email"), ({"email": "a b@example.com"}, "email"), ({"email": 3}, "email"),
        ({"email": "a@b@example.com"}, "email"), ({"email": "b@example.com\u202e"}, "email"),
        ({"email": "b@example.com", "role": "king"}, "role"), ({"email": "b@example.com", "name": "x" * 129}, "name"),
        ({"email": "b@example.com", "organization": "acme"}, "organization"),
        ({"email": "b@example.com", "password": "x"}, "password"), ([], ""),
    ],
)  # fmt: skip
async def test_a_wrong_document_is_told_where(
    admin: Admin, owner: Actor, document: object, path: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await admin.members.add(owner, document)
    assert path in [error.path for error in refused.value.errors]


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_only_managers_manage(admin: Admin, owner: Actor, role: str) -> None:
    bob = await join(admin, owner, "bob@example.com", role)
    with pytest.raises(NotAllowed):
        await admin.members.add(bob, {"email": "eve@example.com"})
    for act in (
        admin.members.remove(bob, bob.member_id),
        admin.members.make_link(bob, bob.member_id),
        admin.members.update(bob, bob.member_id, {"role": "admin"}),
    ):
        with pytest.raises(NotAllowed):
            await act
    seen = [member["email"] for member in await admin.members.list(bob)]
    assert seen == (["bob@example.com"] if role == "member" else ["ada@example.com", "bob@example.com"])
    expected = NotFound if role == "member" else NotAllowed
    with pytest.raises(expected):
        await admin.members.update(bob, owner.member_id, {"name": "Eve"})
    assert (await admin.members.update(bob, bob.member_id, {"name": "Bob"}))["name"] == "Bob"


async def test_only_an_owner_touches_owners(admin: Admin, owner: Actor) -> None:
    eve = await join(admin, owner, "eve@example.com", "admin")
    await join(admin, owner, "bob@example.com", "owner")
    for act in (
        admin.members.add(eve, {"email": "x@example.com", "role": "owner"}),
        admin.members.update(eve, eve.member_id, {"role": "owner"}),
        admin.members.update(eve, owner.member_id, {"role": "member"}),
        admin.members.update(eve, owner.member_id, {"name": "Eve"}),
        admin.members.remove(eve, owner.member_id),
        admin.members.make_link(eve, owner.member_id),
    ):
        with pytest.raises(NotAllowed, match="owner"):
            await act


async def test_the_last_owner_stays(admin: Admin, owner: Actor) -> None:
    for act in (
        admin.members.update(owner, owner.member_id, {"role": "admin"}),
        admin.members.remove(owner, owner.member_id),
        admin.members.remove(CLI, owner.member_id),
    ):
        with pytest.raises(Conflict, match="last owner") as refused:
            await act
        assert refused.value.code == "last_owner"
    bob = await join(admin, owner, "bob@example.com", "owner")
    await admin.members.remove(bob, owner.member_id)
    with pytest.raises(Conflict):
        await admin.members.remove(bob, bob.member_id)


async def make_keys(admin: Admin, bob: Actor) -> list[str]:
    made = [await admin.keys.create(bob, {"name": name}) for name in ("one", "two")]
    return [each.key["id"] for each in made]


async def test_a_removed_members_keys_are_deactivated(admin: Admin, owner: Actor, store: Store) -> None:
    bob = await join(admin, owner, "bob@example.com", "member")
    ids = await make_keys(admin, bob)
    await admin.members.remove(owner, bob.member_id)
    keys = [key for key, _ in (await store.keys.search(KeyQuery())).keys]
    assert {key.id for key in keys} == set(ids)
    assert all(key.inactive and key.owner == "bob@example.com" for key in keys)
    with pytest.raises(NotFound):
        await admin.members.find(owner, bob.member_id)


async def test_or_they_go_to_another_member(admin: Admin, owner: Actor, store: Store) -> None:
    bob = await join(admin, owner, "bob@example.com", "member")
    await make_keys(admin, bob)
    for heir in ("nobody@example.com", "bob@example.com"):
        with pytest.raises(Invalid, match="transfer_to"):
            await admin.members.remove(owner, bob.member_id, transfer_to=heir)
    await admin.members.remove(owner, bob.member_id, transfer_to="ADA@example.com")
    keys = [key for key, _ in (await store.keys.search(KeyQuery())).keys]
    assert len(keys) == 2
    assert all(not key.inactive and key.owner_id == owner.member_id for key in keys)


async def test_a_new_password_needs_the_old_one_and_ends_other_sessions(admin: Admin, owner: Actor) -> None:
    actor, cookie = await admin.sessions.sign_in("ada@example.com", PASSWORD, "", "")
    _, other = await admin.sessions.sign_in("ada@example.com", PASSWORD, "", "")
    with pytest.raises(Invalid, match="current_password"):
        await admin.members.change_password(actor, "wrong", NEW)
    with pytest.raises(Invalid, match="password: needs at least 12"):
        await admin.members.change_password(actor, PASSWORD, "short")
    await admin.members.change_password(actor, PASSWORD, NEW)
    assert await admin.sessions.authenticate(cookie, "") is not None
    assert await admin.sessions.authenticate(other, "") is None
    await admin.sessions.sign_in("ada@example.com", NEW, "", "")
    for _ in range(10):
        with pytest.raises(Invalid):
            await admin.members.change_password(actor, "guess", NEW)
    with pytest.raises(TooMany):
        await admin.members.change_password(actor, "guess", NEW)
    with pytest.raises(NotAllowed):
        await admin.members.change_password(CLI, PASSWORD, NEW)


async def test_members_of_others_do_not_exist(admin: Admin, owner: Actor) -> None:
    await admin.organizations.add(owner, {"name": "acme"})
    zoe = await join(admin, CLI, "zoe@example.com", "owner", organization="acme")
    assert [member["email"] for member in await admin.members.list(zoe)] == ["zoe@example.com"]
    for act in (
        admin.members.find(zoe, owner.member_id),
        admin.members.update(zoe, owner.member_id, {"role": "viewer"}),
        admin.members.remove(zoe, owner.member_id),
        admin.members.make_link(zoe, owner.member_id),
    ):
        with pytest.raises(NotFound):
            await act


async def test_every_act_is_in_the_change_log(admin: Admin, owner: Actor, store: Store) -> None:
    bob = await join(admin, owner, "bob@example.com", "member")
    again = await admin.members.make_link(owner, bob.member_id)
    await admin.members.update(owner, bob.member_id, {"role": "admin", "name": "Bob"})
    await admin.members.remove(owner, bob.member_id)
    rows = [row for row in await store.keys.list_changes() if row.subject == bob.member_id]
    assert [row.action for row in reversed(rows)] == [
        "member.added", "member.password_changed", "member.signed_in", "member.link_made", "member.role_changed",
        "member.renamed", "member.removed",
    ]  # fmt: skip
    assert rows[0].actor == "ada@example.com" and rows[0].ip == "192.0.2.1"
    assert json.loads(rows[2].details_json) == {"email": "bob@example.com", "from": "member", "to": "admin"}
    assert secret_of(again.link) not in f"{rows} {again!r}"
