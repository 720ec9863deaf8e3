"""`/members` over HTTP."""

from gateway_proxy.admin.actor import Role
from tests.support.admin import FOREIGN, HOME, PEOPLE, actor_of

OWNER = actor_of(Role.OWNER)


async def find(api, email: str) -> str:
    _, page, _ = await api.call("GET", f"/members?search={email}", OWNER)
    return page["data"][0]["id"]


async def test_lists(api) -> None:
    _, page, _ = await api.call("GET", "/members", OWNER)
    assert [m["email"] for m in page["data"]] == sorted(PEOPLE.values())
    assert {m["organization"] for m in page["data"]} == {HOME}
    _, page, _ = await api.call("GET", "/members?sort=role&order=desc&limit=1&status=invited", OWNER)
    assert [m["role"] for m in page["data"]] == ["viewer"]
    assert page["next_cursor"] == "1"


async def test_the_life_of_a_member(api) -> None:
    status, invited, _ = await api.call(
        "POST", "/members", OWNER, {"email": "New@Example.com", "role": "viewer"}
    )
    assert (status, invited["member"]["email"], invited["member"]["role"]) == (
        201,
        "new@example.com",
        "viewer",
    )
    member_id = invited["member"]["id"]
    status, problem, _ = await api.call("POST", "/members", OWNER, {"email": "new@example.com"})
    assert (status, problem["code"]) == (409, "conflict")
    status, again, _ = await api.call("POST", f"/members/{member_id}/link", OWNER)
    assert (status, again["link"] != invited["link"]) == (201, True)
    _, member, _ = await api.call("PATCH", f"/members/{member_id}", OWNER, {"role": "member", "name": "New"})
    assert (member["role"], member["name"]) == ("member", "New")
    assert (await api.call("DELETE", f"/members/{member_id}?transfer_to=eve@example.com", OWNER))[0] == 422
    assert (await api.call("DELETE", f"/members/{member_id}", OWNER))[0] == 204
    assert (await api.call("GET", f"/members/{member_id}", OWNER))[0] == 404


async def test_the_last_owner_stays(api) -> None:
    member_id = await find(api, PEOPLE[Role.OWNER])
    status, problem, _ = await api.call("DELETE", f"/members/{member_id}", OWNER)
    assert (status, problem["code"]) == (409, "last_owner")


async def test_keys_are_handed_over(api) -> None:
    _, made, _ = await api.call("POST", "/keys", OWNER, {"name": "a", "owner": PEOPLE[Role.MEMBER]})
    member_id = await find(api, PEOPLE[Role.MEMBER])
    path = f"/members/{member_id}?transfer_to={PEOPLE[Role.ADMIN]}"
    assert (await api.call("DELETE", path, OWNER))[0] == 204
    _, key, _ = await api.call("GET", f"/keys/{made['key']['id']}", OWNER)
    assert (key["owner"], key["status"]) == (PEOPLE[Role.ADMIN], "active")


async def test_mistakes_have_paths(api) -> None:
    body = {"email": "nobody", "role": "king", "zz": 1}
    status, problem, _ = await api.call("POST", "/members", OWNER, body)
    assert (status, {error["path"] for error in problem["errors"]}) == (422, {"email", "role", "zz"})
    status, problem, _ = await api.call(
        "POST", "/members", OWNER, {"email": "a@b.de", "organization": FOREIGN}
    )
    assert (status, problem["errors"][0]["path"]) == (422, "organization")
