"""`/tokens` over HTTP."""

from gateway_proxy.admin.actor import Role
from tests.support.admin import PEOPLE, actor_of

OWNER, MEMBER = actor_of(Role.OWNER), actor_of(Role.MEMBER)


async def test_the_life_of_a_token(api, scene) -> None:
    body = {"role": "admin", "name": "ci", "expires_in": "90d"}
    status, made, _ = await api.call("POST", "/tokens", OWNER, body, headers={"Idempotency-Key": "one"})
    assert (status, made["token"]["member"], made["token"]["status"]) == (201, None, "active")
    again = (await api.call("POST", "/tokens", OWNER, body, headers={"Idempotency-Key": "one"}))[1]
    assert again == made
    actor = await scene.admin.tokens.authenticate(made["secret"], "192.0.2.1")
    assert (actor.role, actor.via) == (Role.ADMIN, "token")
    path = f"/tokens/{made['token']['id']}"
    assert "secret" not in (await api.call("GET", path, OWNER))[1]
    assert [
        t["name"] for t in (await api.call("GET", "/tokens?search=CI&status=active", OWNER))[1]["data"]
    ] == ["ci"]
    assert (await api.call("GET", "/tokens?status=expired", OWNER))[1]["data"] == []
    assert (await api.call("GET", path, MEMBER))[0] == 404
    assert (await api.call("DELETE", path, OWNER))[0] == 204
    assert await scene.admin.tokens.authenticate(made["secret"], "192.0.2.1") is None


async def test_mistakes_and_roles(api) -> None:
    status, problem, _ = await api.call("POST", "/tokens", OWNER, {"role": "king"})
    assert (status, {error["path"] for error in problem["errors"]}) == (422, {"role", "expires_in"})
    body = {"role": "admin", "member": PEOPLE[Role.ADMIN], "expires_in": "30d"}
    assert (await api.call("POST", "/tokens", MEMBER, body))[0] == 403
