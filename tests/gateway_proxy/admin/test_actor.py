from gateway_proxy.admin.actor import Actor, Role


def test_what_somebody_makes_belongs_to_their_organization() -> None:
    assert Actor(name="a", role=Role.ADMIN, organization="acme").home == "acme"
    assert Actor(name="cli", role=Role.OWNER, organization=None).home == "default"


def test_an_actor_comes_by_a_session_unless_said_otherwise() -> None:
    actor = Actor(name="a", role=Role.ADMIN, organization="acme")
    assert (actor.via, actor.member_id, actor.email, actor.credential_id) == ("session", "", "", "")
