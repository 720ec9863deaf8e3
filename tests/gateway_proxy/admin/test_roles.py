"""Who may do what: the whole table."""

from dataclasses import replace

import pytest

from gateway_proxy.admin import roles
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import NotAllowed
from tests.support.admin import PEOPLE, actor_of

MANAGERS = {Role.OWNER, Role.ADMIN}


@pytest.mark.parametrize("role", list(Role))
def test_managers_manage_and_members_see_their_own(role: Role) -> None:
    actor = actor_of(role)
    assert roles.is_manager(actor) is (role in MANAGERS)
    assert roles.is_member(actor) is (role is Role.MEMBER)
    assert roles.visible_owner(actor) == (PEOPLE[role] if role is Role.MEMBER else None)


@pytest.mark.parametrize("role", list(Role))
def test_bodies_are_for_managers_and_the_keys_owner(role: Role) -> None:
    actor = actor_of(role)
    assert roles.may_read_bodies(actor, PEOPLE[role])
    assert roles.may_read_bodies(actor, "another@example.com") is (role in MANAGERS)
    assert roles.may_read_bodies(replace(actor, email=""), "") is (role in MANAGERS)


def allowed(check, *arguments) -> bool:
    try:
        check(*arguments)
    except NotAllowed as problem:
        assert problem.status == 403
        return False
    return True


@pytest.mark.parametrize("role", list(Role))
def test_who_passes_which_gate(role: Role) -> None:
    actor = actor_of(role)
    assert allowed(roles.require_manager, actor, "do that") is (role in MANAGERS)
    assert allowed(roles.require_reader, actor, "that") is (role is not Role.MEMBER)
    assert allowed(roles.require_key_writer, actor, PEOPLE[role]) is (role is not Role.VIEWER)
    assert allowed(roles.require_key_writer, actor, "another@example.com") is (role in MANAGERS)


def test_a_token_of_nobody_with_the_role_member_owns_nothing() -> None:
    import dataclasses

    nobody = dataclasses.replace(actor_of(Role.MEMBER), email="", member_id="")
    assert roles.visible_owner(nobody) == ""
    assert not allowed(roles.require_key_writer, nobody, "")


def test_which_role_covers_which() -> None:
    covered = {role: {other for other in Role if roles.covers(role, other)} for role in Role}
    assert covered == {
        Role.OWNER: set(Role),
        Role.ADMIN: {Role.ADMIN, Role.MEMBER, Role.VIEWER},
        Role.MEMBER: {Role.MEMBER},
        Role.VIEWER: {Role.VIEWER},
    }


def test_owners_are_for_owners() -> None:
    roles.require_owner_for(actor_of(Role.ADMIN), Role.ADMIN, "do it")
    roles.require_owner_for(actor_of(Role.OWNER), Role.OWNER, "do it")
    with pytest.raises(NotAllowed, match="only an owner may do it"):
        roles.require_owner_for(actor_of(Role.ADMIN), Role.OWNER, "do it")
