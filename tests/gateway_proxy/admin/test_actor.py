"""What an actor makes belongs to their organization, or to the default one where they see all."""

from gateway_proxy.admin.actor import Role
from tests.support.admin import actor_of


def test_home() -> None:
    assert actor_of(Role.OWNER, "acme").home == "acme"
    assert actor_of(Role.OWNER, None).home == "default"
