import logging

import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.passwords import Passwords
from gateway_proxy.admin.problem import Invalid, NotAllowed, NotFound, SignInNeeded, TooMany
from gateway_proxy.admin.services import Admin
from gateway_proxy.admin.sessions import ABSOLUTE_MS, IDLE_MS, digest_of
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store
from tests.gateway_proxy.admin.conftest import CLI, PASSWORD, join

MINUTE = 60


async def sign_in(
    admin: Admin, email: str = "ada@example.com", password: str = PASSWORD
) -> tuple[Actor, str]:
    return await admin.sessions.sign_in(email, password, "192.0.2.9", "browser\n" + "x" * 999)


async def test_a_member_signs_in_and_is_known_by_the_cookie(admin: Admin, owner: Actor, store: Store) -> None:
    actor, cookie = await sign_in(admin, " ADA@example.COM ")
    assert (actor.email, actor.role, actor.organization, actor.via) == (
        "ada@example.com", Role.OWNER, "default", "session",
    )  # fmt: skip
    assert await admin.sessions.authenticate(cookie, "192.0.2.9") == actor
    assert actor.member_id == owner.member_id
    assert actor.credential_id != owner.credential_id
    found = await store.identity.find_account(actor.member_id)
    assert found is not None and found.last_sign_in_at is not None


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.com", PASSWORD + "!"),
        ("eve@example.com", PASSWORD),
        ("invited@example.com", PASSWORD),
        ("", ""),
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(
    admin: Admin, owner: Actor, email: str, password: str
) -> None:
    await admin.members.add(owner, {"email": "invited@example.com"})
    with pytest.raises(SignInNeeded, match="the e-mail address or the password is wrong") as refused:
        await sign_in(admin, email, password)
    assert refused.value.code == "wrong_credentials"


async def test_an_unknown_account_costs_one_check_as_well(
    admin: Admin, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    check = Passwords.check

    async def watch(self: Passwords, stored: str | None, password: str) -> bool:
        checked.append(stored)
        return await check(self, stored, password)

    monkeypatch.setattr(Passwords, "check", watch)
    for email in ("ada@example.com", "eve@example.com"):
        with pytest.raises(SignInNeeded):
            await sign_in(admin, email, "wrong")
    assert len(checked) == 2 and checked[0] is not None and checked[1] is None


async def test_guessing_is_slowed_down_by_account(admin: Admin, owner: Actor, clock: FakeClock) -> None:
    for _ in range(10):
        with pytest.raises(SignInNeeded):
            await sign_in(admin, password="wrong")
    with pytest.raises(TooMany) as refused:
        await sign_in(admin)
    assert refused.value.retry_after_seconds == 30
    clock.advance(30)
    await sign_in(admin)


async def test_a_session_ends_when_unused_and_when_old(admin: Admin, owner: Actor, clock: FakeClock) -> None:
    _, idle = await sign_in(admin)
    clock.advance(IDLE_MS / 1000 - MINUTE)
    assert await admin.sessions.authenticate(idle, "") is not None
    clock.advance(IDLE_MS / 1000 - MINUTE)
    assert await admin.sessions.authenticate(idle, "") is not None, "use kept it alive"
    clock.advance(IDLE_MS / 1000)
    assert await admin.sessions.authenticate(idle, "") is None
    _, used = await sign_in(admin)
    for _ in range(ABSOLUTE_MS // (IDLE_MS // 2) - 1):
        clock.advance(IDLE_MS / 2000)
        assert await admin.sessions.authenticate(used, "") is not None
    clock.advance(IDLE_MS / 2000)
    assert await admin.sessions.authenticate(used, "") is None


async def test_signing_out_ends_this_session_only(admin: Admin, owner: Actor) -> None:
    first, first_cookie = await sign_in(admin)
    _, second_cookie = await sign_in(admin)
    await admin.sessions.sign_out(first)
    assert await admin.sessions.authenticate(first_cookie, "") is None
    second = await admin.sessions.authenticate(second_cookie, "")
    assert second is not None
    assert await admin.sessions.sign_out_everywhere(second) == 2
    assert await admin.sessions.authenticate(second_cookie, "") is None
    with pytest.raises(NotFound):
        await admin.sessions.sign_out(first)


async def test_sessions_are_listed_and_ended_one_by_one(admin: Admin, owner: Actor, clock: FakeClock) -> None:
    clock.advance(1)
    actor, _ = await sign_in(admin)
    listed = await admin.sessions.list(actor)
    assert [(s["id"], s["current"]) for s in listed] == [
        (actor.credential_id, True),
        (owner.credential_id, False),
    ]
    assert listed[0]["ip"] == "192.0.2.9"
    assert listed[0]["user_agent"] == "browser" + "x" * 192
    await admin.sessions.end(actor, owner.credential_id)
    assert len(await admin.sessions.list(actor)) == 1
    eve = await join(admin, owner, "eve@example.com", "admin")
    with pytest.raises(NotFound):
        await admin.sessions.end(eve, actor.credential_id)
    with pytest.raises(NotAllowed):
        await admin.sessions.sign_out(CLI)


async def test_the_role_is_the_one_of_now(admin: Admin, owner: Actor) -> None:
    eve = await join(admin, owner, "eve@example.com", "admin")
    _, cookie = await sign_in(admin, "eve@example.com")
    await admin.members.update(owner, eve.member_id, {"role": "viewer"})
    found = await admin.sessions.authenticate(cookie, "")
    assert found is not None and found.role is Role.VIEWER
    await admin.members.remove(owner, eve.member_id)
    assert await admin.sessions.authenticate(cookie, "") is None


async def test_one_password_in_two_organizations_asks_which(admin: Admin, owner: Actor) -> None:
    await admin.organizations.add(owner, {"name": "acme"})
    await join(admin, CLI, "ada@example.com", "member", organization="acme")
    with pytest.raises(Invalid, match="acme, default") as refused:
        await sign_in(admin)
    assert [error.path for error in refused.value.errors] == ["organization"]
    actor, _ = await admin.sessions.sign_in("ada@example.com", PASSWORD, "", "", organization="acme")
    assert (actor.organization, actor.role) == ("acme", Role.MEMBER)


async def test_an_outdated_hash_is_renewed(admin: Admin, owner: Actor, store: Store) -> None:
    old = await Passwords(memory_kib=128).hash(PASSWORD)
    async with store.identity.change() as change:
        await change.set_password(owner.member_id, old)
    await sign_in(admin)
    account = await store.identity.find_account(owner.member_id)
    assert account is not None and account.password_hash is not None
    assert account.password_hash != old and "m=64" in account.password_hash
    await sign_in(admin)


@pytest.mark.parametrize("cookie", ["", "x", "x" * 43, "é" * 43, "\ud800" * 43, "x" * 5000])
async def test_a_foreign_cookie_is_nobody(admin: Admin, owner: Actor, cookie: str) -> None:
    assert await admin.sessions.authenticate(cookie, "192.0.2.1") is None


async def test_nothing_secret_is_kept_or_told(
    admin: Admin, owner: Actor, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    actor, cookie = await sign_in(admin)
    with pytest.raises(SignInNeeded):
        await sign_in(admin, password="wrong password 123")
    session = (await store.identity.list_sessions(actor.member_id))[0]
    changes = await store.keys.list_changes()
    account = await store.identity.find_account(actor.member_id)
    told = f"{changes} {actor} {session} {account} {caplog.text}"
    assert "member.signed_in" in told and "192.0.2.9" in told
    assert cookie not in told and digest_of(cookie) not in told
    assert PASSWORD not in told and "wrong password" not in told and "$argon2" not in told
