import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.problem import Invalid, NotAllowed, NotFound
from gateway_proxy.admin.services import Admin
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.keys.secret import looks_like_secret, mint
from gateway_proxy.storage import Store
from tests.gateway_proxy.admin.conftest import CLI, join


async def test_a_token_of_the_organization_works_until_it_is_revoked(admin: Admin, owner: Actor) -> None:
    made = await admin.tokens.create(owner, {"name": "ci", "role": "admin", "expires_in": "never"})
    assert looks_like_secret(made.secret) and made.secret.startswith("gwa_")
    assert made.token["member"] is None and made.token["status"] == "active"
    assert made.token["preview"].startswith(made.secret[:8])
    actor = await admin.tokens.authenticate(made.secret, "192.0.2.7")
    assert actor == Actor(
        name="token:ci", role=Role.ADMIN, organization="default", ip="192.0.2.7",
        credential_id=made.token["id"], via="token",
    )  # fmt: skip
    await admin.tokens.revoke(owner, made.token["id"])
    assert await admin.tokens.authenticate(made.secret, "") is None
    for act in (admin.tokens.find, admin.tokens.revoke):
        with pytest.raises(NotFound):
            await act(owner, made.token["id"])


async def test_a_token_expires_and_notes_its_use(admin: Admin, owner: Actor, clock: FakeClock) -> None:
    made = await admin.tokens.create(owner, {"role": "viewer", "expires_in": "30d"})
    assert (await admin.tokens.find(owner, made.token["id"]))["last_used_at"] is None
    clock.advance(30 * 86_400 - 1)
    assert await admin.tokens.authenticate(made.secret, "") is not None
    assert (await admin.tokens.find(owner, made.token["id"]))["last_used_at"] is not None
    clock.advance(1)
    assert await admin.tokens.authenticate(made.secret, "") is None
    assert (await admin.tokens.list(owner))[0]["status"] == "expired"


async def test_a_members_token_never_outranks_the_member_and_dies_with_them(
    admin: Admin, owner: Actor
) -> None:
    eve = await join(admin, owner, "eve@example.com", "admin")
    made = await admin.tokens.create(
        eve, {"role": "admin", "member": "eve@example.com", "expires_in": "never"}
    )
    expected = {"admin": Role.ADMIN, "member": Role.MEMBER, "viewer": Role.VIEWER, "owner": Role.ADMIN}
    for role, effective in expected.items():
        await admin.members.update(owner, eve.member_id, {"role": role})
        actor = await admin.tokens.authenticate(made.secret, "")
        assert actor is not None and (actor.role, actor.email) == (effective, "eve@example.com")
    await admin.members.remove(owner, eve.member_id)
    assert await admin.tokens.authenticate(made.secret, "") is None


async def test_a_viewer_and_a_member_have_nothing_in_common(admin: Admin, owner: Actor) -> None:
    bob = await join(admin, owner, "bob@example.com", "member")
    made = await admin.tokens.create(bob, {"role": "member", "expires_in": "never"})
    assert made.token["member"] == "bob@example.com", "their own, without being asked"
    await admin.members.update(owner, bob.member_id, {"role": "viewer"})
    assert await admin.tokens.authenticate(made.secret, "") is None


@pytest.mark.parametrize(
    ("role", "document", "problem"),
    [
        ("admin", {"role": "owner"}, NotAllowed),
        ("admin", {"role": "admin", "member": "ada@example.com"}, NotAllowed),
        ("member", {"role": "viewer"}, NotAllowed),
        ("member", {"role": "member", "member": "ada@example.com"}, NotAllowed),
        ("viewer", {"role": "member"}, NotAllowed),
        ("admin", {"role": "member"}, Invalid),
        ("admin", {"role": "admin", "member": "nobody@example.com"}, Invalid),
        ("admin", {"role": "king"}, Invalid),
        ("admin", {}, Invalid),
        ("admin", {"role": "admin", "power": 9}, Invalid),
        ("admin", {"role": "admin", "member": 5}, Invalid),
        ("admin", [], Invalid),
    ],
)
async def test_what_may_not_be_made(
    admin: Admin, owner: Actor, role: str, document: object, problem: type[Exception]
) -> None:
    eve = await join(admin, owner, "eve@example.com", role)
    if isinstance(document, dict):
        document = {"expires_in": "1y", **document}
    with pytest.raises(problem):
        await admin.tokens.create(eve, document)
    assert await admin.tokens.list(owner) == []


@pytest.mark.parametrize(
    "expiry",
    [
        {},
        {"expires_in": "2d"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_in": "1y", "expires_at": "2099-01-01T00:00:00Z"},
    ],
)
async def test_an_expiry_must_be_named_and_sensible(
    admin: Admin, owner: Actor, expiry: dict[str, str]
) -> None:
    with pytest.raises(Invalid, match="expires_"):
        await admin.tokens.create(owner, {"role": "admin", **expiry})


async def test_a_role_above_the_member_is_refused_at_once(admin: Admin, owner: Actor) -> None:
    await join(admin, owner, "bob@example.com", "member")
    with pytest.raises(Invalid, match=r"admin is more than bob@example\.com may"):
        await admin.tokens.create(
            owner, {"role": "admin", "member": "bob@example.com", "expires_in": "never"}
        )


async def test_who_sees_and_revokes_which(admin: Admin, owner: Actor) -> None:
    eve, bob = (
        await join(admin, owner, "eve@example.com", "admin"),
        await join(admin, owner, "bob@example.com", "member"),
    )
    top = await admin.tokens.create(owner, {"role": "owner", "expires_in": "never"})
    own = await admin.tokens.create(bob, {"role": "member", "expires_in": "never"})
    assert len(await admin.tokens.list(eve)) == 2
    assert [token["id"] for token in await admin.tokens.list(bob)] == [own.token["id"]]
    with pytest.raises(NotAllowed):
        await admin.tokens.revoke(eve, top.token["id"])
    with pytest.raises(NotFound):
        await admin.tokens.revoke(bob, top.token["id"])
    await admin.tokens.revoke(bob, own.token["id"])
    await admin.organizations.add(owner, {"name": "acme"})
    zoe = await join(admin, CLI, "zoe@example.com", "owner", organization="acme")
    assert await admin.tokens.list(zoe) == []
    with pytest.raises(NotFound):
        await admin.tokens.find(zoe, top.token["id"])


@pytest.mark.parametrize(
    "secret",
    ["", "gwa_", mint("gwa"), mint("gwk"), "gwa_" + "é" * 49],
    ids=["empty", "bare", "unknown", "of a key", "foreign letters"],
)
async def test_a_foreign_secret_is_nobody(admin: Admin, secret: str) -> None:
    assert await admin.tokens.authenticate(secret, "") is None


async def test_the_secret_is_told_once(admin: Admin, owner: Actor, store: Store) -> None:
    made = await admin.tokens.create(owner, {"name": "ci", "role": "admin", "expires_in": "never"})
    assert await store.keys.has_secrets(), "the pepper must be kept for it"
    await admin.tokens.revoke(owner, made.token["id"])
    changes = await store.keys.list_changes()
    assert {"token.created", "token.revoked"} <= {change.action for change in changes}
    assert all(change.subject == made.token["id"] for change in changes[:2])
    assert made.secret not in f"{changes} {made!r} {made.token}"
