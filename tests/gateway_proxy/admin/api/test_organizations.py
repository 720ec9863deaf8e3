"""`/organizations` over HTTP."""

from gateway_proxy.admin.actor import Role
from tests.support.admin import FOREIGN, HOME, actor_of

OWNER = actor_of(Role.OWNER)


async def test_an_owner_of_the_default_one_adds_others(api) -> None:
    status, made, _ = await api.call(
        "POST", "/organizations", OWNER, {"name": "acme", "owner": "wile@acme.example"}
    )
    assert (status, made["organization"]["name"]) == (201, "acme")
    assert made["link"]
    _, page, _ = await api.call("GET", "/organizations?sort=name&order=desc", OWNER)
    assert [o["name"] for o in page["data"]] == [FOREIGN, HOME, "acme"]
    status, again, _ = await api.call("POST", "/organizations", OWNER, {"name": "acme"})
    assert (status, again["code"]) == (409, "conflict")
    assert (await api.call("GET", f"/organizations/{made['organization']['id']}", OWNER))[1]["name"] == "acme"
    assert (await api.call("POST", "/organizations", OWNER, {"name": "b"}))[1]["link"] is None


async def test_others_see_their_own(api) -> None:
    stranger = actor_of(Role.OWNER, FOREIGN)
    _, page, _ = await api.call("GET", "/organizations", stranger)
    assert [o["name"] for o in page["data"]] == [FOREIGN]
    home_id = (await api.call("GET", f"/organizations?search={HOME}", OWNER))[1]["data"][0]["id"]
    assert (await api.call("GET", f"/organizations/{home_id}", stranger))[0] == 404
    assert (await api.call("POST", "/organizations", stranger, {"name": "c"}))[0] == 403
