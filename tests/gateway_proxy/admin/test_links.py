import json
import stat
from pathlib import Path

import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.links import check_password, write_setup_link
from gateway_proxy.admin.problem import Conflict, Invalid, NotFound, Problem
from gateway_proxy.admin.services import Admin
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store
from tests.gateway_proxy.admin.conftest import CLI, PASSWORD, secret_of

HOUR = 3600


async def set_up(admin: Admin, secret: str, email: str = "ada@example.com") -> Actor:
    done = await admin.links.set_up(
        secret, name="Ada", email=email, password=PASSWORD, ip="192.0.2.1", user_agent=""
    )
    return done.actor


async def test_the_first_owner_is_made_once(admin: Admin, store: Store) -> None:
    assert not await admin.links.is_set_up()
    link = await admin.links.ensure_setup_link("acme")
    assert link is not None and link.startswith("/dashboard/setup/")
    assert len(secret_of(link)) == 43, "256 bits"
    assert (await admin.links.look("setup", secret_of(link))).organization == "acme"
    actor = await set_up(admin, secret_of(link))
    assert (actor.role, actor.organization, actor.email) == (Role.OWNER, "acme", "ada@example.com")
    assert [o.name for o in await store.registry.list_organizations()] == ["acme"]
    assert await admin.links.is_set_up()
    assert await admin.links.ensure_setup_link("acme") is None
    with pytest.raises(NotFound):
        await set_up(admin, secret_of(link), "eve@example.com")
    actions = [row.action for row in await store.keys.list_changes()]
    assert actions == ["member.signed_in", "setup.completed"]


async def test_each_start_renews_the_set_up_link(admin: Admin, clock: FakeClock) -> None:
    first = await admin.links.ensure_setup_link("default")
    second = await admin.links.ensure_setup_link("default")
    assert first is not None and second is not None
    with pytest.raises(NotFound):
        await admin.links.look("setup", secret_of(first))
    clock.advance(24 * HOUR - 1)
    await admin.links.look("setup", secret_of(second))
    clock.advance(1)
    with pytest.raises(NotFound):
        await set_up(admin, secret_of(second))


async def test_links_of_other_gateways_work_until_one_is_used(admin: Admin) -> None:
    first = await admin.links.ensure_setup_link("default")
    second = await admin.links.ensure_setup_link("default", beside=True)
    assert first is not None and second is not None
    await admin.links.look("setup", secret_of(second))
    await set_up(admin, secret_of(first))
    for link in (first, second):
        with pytest.raises(NotFound):
            await admin.links.look("setup", secret_of(link))


async def test_a_set_up_link_dies_with_the_first_member(admin: Admin, store: Store) -> None:
    link = await admin.links.ensure_setup_link("default")
    assert link is not None
    await store.registry.add_member("default", "bob@example.com", "Bob", "owner")
    with pytest.raises(NotFound):
        await set_up(admin, secret_of(link))


async def test_two_who_set_up_at_once_make_one_owner(admin: Admin, store: Store) -> None:
    link = await admin.links.ensure_setup_link("default")
    assert link is not None
    add = store.registry.add_member

    async def hash_slowly(password: str) -> str:
        await add("default", "bob@example.com", "Bob", "owner")
        return "hash"

    admin.links._passwords.hash = hash_slowly  # type: ignore[method-assign]
    with pytest.raises(Conflict) as refused:
        await set_up(admin, secret_of(link))
    assert refused.value.code == "already_set_up"
    assert [member.email for member in await store.registry.list_members()] == ["bob@example.com"]


@pytest.mark.parametrize(
    ("email", "password", "paths"),
    [("ada", "short", ["email", "password"]), ("ada@example.com", "ada@example.com", ["password"])],
)
async def test_mistakes_do_not_use_the_link_up(
    admin: Admin, email: str, password: str, paths: list[str]
) -> None:
    link = await admin.links.ensure_setup_link("default")
    assert link is not None
    with pytest.raises(Invalid) as refused:
        await admin.links.set_up(
            secret_of(link), name="", email=email, password=password, ip="", user_agent=""
        )
    assert [error.path for error in refused.value.errors] == paths
    await set_up(admin, secret_of(link))


async def test_links_are_for_one_purpose_and_one_member(admin: Admin, owner: Actor) -> None:
    bob = await admin.members.add(owner, {"email": "bob@example.com"})
    newer = await admin.members.make_link(owner, bob.member["id"])
    assert "/invite/" in newer.link, "who has not come yet is still invited"
    for kind, link in (("invite", bob.link), ("reset", newer.link)):
        with pytest.raises(NotFound, match="replaced by a newer one"):
            await admin.links.accept(kind, secret_of(link), password=PASSWORD, ip="", user_agent="")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await admin.links.enter(secret_of(newer.link), "", "")
    done = await admin.links.accept("invite", secret_of(newer.link), password=PASSWORD, ip="", user_agent="")
    assert done.actor.email == "bob@example.com"
    again = await admin.members.make_link(owner, bob.member["id"])
    await admin.members.remove(owner, bob.member["id"])
    with pytest.raises(Problem):
        await admin.links.accept("reset", secret_of(again.link), password=PASSWORD, ip="", user_agent="")


async def test_an_invitation_expires_after_a_week(admin: Admin, owner: Actor, clock: FakeClock) -> None:
    bob = await admin.members.add(owner, {"email": "bob@example.com"})
    clock.advance(7 * 24 * HOUR)
    with pytest.raises(NotFound):
        await admin.links.look("invite", secret_of(bob.link))


async def test_the_demos_owner_enters_by_a_link_of_each_start(admin: Admin, store: Store) -> None:
    first = await admin.links.make_demo_link()
    second = await admin.links.make_demo_link()
    with pytest.raises(NotFound):
        await admin.links.enter(secret_of(first), "", "")
    done = await admin.links.enter(secret_of(second), "", "")
    assert (done.actor.role, done.actor.organization) == (Role.OWNER, "default")
    with pytest.raises(NotFound):
        await admin.links.enter(secret_of(second), "", "")
    assert len(await admin.members.list(CLI)) == 1
    rows = await store.keys.list_changes()
    assert [row.action for row in rows] == ["member.signed_in", "member.added"]
    assert json.loads(rows[0].details_json) == {"method": "link"}


async def test_no_link_is_told_twice(admin: Admin, owner: Actor, store: Store) -> None:
    bob = await admin.members.add(owner, {"email": "bob@example.com"})
    done = await admin.links.accept("invite", secret_of(bob.link), password=PASSWORD, ip="", user_agent="")
    told = f"{await store.keys.list_changes()} {done!r} {bob!r}"
    assert secret_of(bob.link) not in told and done.cookie not in told and PASSWORD not in told


def test_the_set_up_file_is_for_its_owner_only_and_goes_when_used(tmp_path: Path) -> None:
    path = write_setup_link(tmp_path, "http://127.0.0.1:8080/dashboard/setup/one")
    path.chmod(0o644)
    write_setup_link(tmp_path, "http://127.0.0.1:8080/dashboard/setup/two")
    assert path.name == "setup-link" and path.read_text().endswith("/two\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_setup_link(tmp_path, None)
    write_setup_link(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_an_easy_password_is_refused_by_its_path() -> None:
    check_password("correct horse battery", "password")
    with pytest.raises(Invalid, match="new_password: needs"):
        check_password("short", "new_password")
