import pytest

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.problem import Conflict, Invalid, NotAllowed, NotFound
from gateway_proxy.admin.services import Admin
from gateway_proxy.storage import Store
from tests.gateway_proxy.admin.conftest import CLI, PASSWORD, join, secret_of


async def test_a_new_organization_can_have_its_first_owner_at_once(
    admin: Admin, owner: Actor, store: Store
) -> None:
    added = await admin.organizations.add(owner, {"name": "acme", "owner": "Zoe@example.com"})
    assert added.organization["name"] == "acme" and secret_of(added.link) not in repr(added)
    done = await admin.links.accept("invite", secret_of(added.link), password=PASSWORD, ip="", user_agent="")
    assert (done.actor.organization, done.actor.role.value) == ("acme", "owner")
    assert [shown["name"] for shown in await admin.organizations.list(done.actor)] == ["acme"]
    assert [shown["name"] for shown in await admin.organizations.list(owner)] == ["acme", "default"]
    assert await admin.organizations.find(owner, added.organization["id"]) == added.organization
    actions = [row.action for row in await store.keys.list_changes()]
    assert actions[2:4] == ["member.added", "organization.added"]
    with pytest.raises(NotAllowed):
        await admin.organizations.add(done.actor, {"name": "more"})
    other = (await admin.organizations.list(owner))[1]
    with pytest.raises(NotFound):
        await admin.organizations.find(done.actor, other["id"])


@pytest.mark.parametrize("role", ["admin", "member", "viewer"])
async def test_only_owners_of_the_default_organization(admin: Admin, owner: Actor, role: str) -> None:
    with pytest.raises(NotAllowed):
        await admin.organizations.add(await join(admin, owner, "eve@example.com", role), {"name": "acme"})


async def test_a_name_is_taken_once(admin: Admin) -> None:
    assert (await admin.organizations.add(CLI, {"name": "acme"})).link == ""
    with pytest.raises(Conflict, match="acme already"):
        await admin.organizations.add(CLI, {"name": "acme"})


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "*"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a", "owner": "x"}, "owner"),
        ({"name": "a", "x": 1}, "x"),
        (3, ""),
    ],
)
async def test_a_wrong_document_makes_nothing(admin: Admin, document: object, path: str) -> None:
    with pytest.raises(Invalid) as refused:
        await admin.organizations.add(CLI, document)
    assert path in [error.path for error in refused.value.errors]
    assert await admin.organizations.list(CLI) == []
