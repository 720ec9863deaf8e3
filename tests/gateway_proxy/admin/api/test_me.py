"""`/me` over HTTP."""

from dataclasses import replace

from gateway_proxy.admin.actor import Role
from tests.support.admin import FOREIGN, HOME, PEOPLE, actor_of


async def test_everybody_learns_who_they_are(api) -> None:
    for role in Role:
        _, me, _ = await api.call("GET", "/me", actor_of(role, via="token"))
        assert (me["role"], me["via"], me["home"], me["default_owner"]) == (role, "token", HOME, PEOPLE[role])
    _, me, _ = await api.call("GET", "/me", replace(actor_of(Role.ADMIN, FOREIGN), email=""))
    assert (me["organization"], me["default_owner"]) == (FOREIGN, PEOPLE[Role.OWNER])
