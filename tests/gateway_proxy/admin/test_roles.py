import pytest

from gateway_proxy.admin import roles
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.problem import NotAllowed


def actor(role: Role, email: str = "eve@example.com") -> Actor:
    return Actor(name=email, role=role, organization="default", email=email)


@pytest.mark.parametrize("role", list(Role))
def test_owners_and_admins_manage(role: Role) -> None:
    manages = role in (Role.OWNER, Role.ADMIN)
    assert roles.is_manager(actor(role)) is manages
    if manages:
        roles.require_manager(actor(role), "do it")
    else:
        with pytest.raises(NotAllowed, match="may not do it"):
            roles.require_manager(actor(role), "do it")


@pytest.mark.parametrize("role", list(Role))
def test_all_but_members_read_everything(role: Role) -> None:
    if role is Role.MEMBER:
        with pytest.raises(NotAllowed, match="may not see it"):
            roles.require_reader(actor(role), "it")
        assert roles.visible_owner(actor(role)) == "eve@example.com"
    else:
        roles.require_reader(actor(role), "it")
        assert roles.visible_owner(actor(role)) is None


@pytest.mark.parametrize(
    ("role", "own", "others"),
    [
        (Role.OWNER, True, True),
        (Role.ADMIN, True, True),
        (Role.MEMBER, True, False),
        (Role.VIEWER, False, False),
    ],
)
def test_who_writes_whose_keys(role: Role, own: bool, others: bool) -> None:
    for owner, allowed in (("eve@example.com", own), ("ada@example.com", others)):
        if allowed:
            roles.require_key_writer(actor(role), owner)
        else:
            with pytest.raises(NotAllowed):
                roles.require_key_writer(actor(role), owner)


def test_whoever_has_no_address_owns_no_keys() -> None:
    with pytest.raises(NotAllowed):
        roles.require_key_writer(actor(Role.MEMBER, ""), "")


def test_which_role_covers_which() -> None:
    covered = {role: {other for other in Role if roles.covers(role, other)} for role in Role}
    assert covered == {
        Role.OWNER: set(Role),
        Role.ADMIN: {Role.ADMIN, Role.MEMBER, Role.VIEWER},
        Role.MEMBER: {Role.MEMBER},
        Role.VIEWER: {Role.VIEWER},
    }


def test_owners_are_for_owners() -> None:
    roles.require_owner_for(actor(Role.ADMIN), Role.ADMIN, "do it")
    roles.require_owner_for(actor(Role.OWNER), Role.OWNER, "do it")
    with pytest.raises(NotAllowed, match="only an owner may do it"):
        roles.require_owner_for(actor(Role.ADMIN), Role.OWNER, "do it")
