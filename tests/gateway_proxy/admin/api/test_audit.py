"""`/audit` over HTTP."""

from gateway_proxy.admin.actor import Role
from gateway_proxy.core.clock import format_time
from gateway_proxy.storage.registry import Gateway
from tests.support.admin import actor_of

OWNER = actor_of(Role.OWNER)


async def test_acts_are_listed_filtered_and_paged(api, scene) -> None:
    _, made, _ = await api.call("POST", "/keys", OWNER, {"name": "alpha"})
    scene.clock.advance(60)
    await api.call("POST", f"/keys/{made['key']['id']}/revoke", OWNER)
    _, page, _ = await api.call("GET", "/audit", OWNER)
    assert [act["action"] for act in page["data"]] == ["key.revoked", "key.created"]
    assert page["data"][0]["actor"] == OWNER.name and page["data"][0]["subject"] == made["key"]["id"]
    since = format_time(scene.clock.now_ms())
    for query, count in (
        ("action=key.created", 1), ("action=key.*", 2), ("actor=nobody", 0), (f"subject={made['key']['id']}", 2),
        (f"from={since}", 1), (f"to={since}", 1), ("limit=1", 1),
    ):  # fmt: skip
        _, page, _ = await api.call("GET", f"/audit?{query}", OWNER)
        assert len(page["data"]) == count, query
    _, rest, _ = await api.call("GET", f"/audit?limit=1&cursor={page['next_cursor']}", OWNER)
    assert [act["action"] for act in rest["data"]] == ["key.created"] and rest["next_cursor"] is None


async def test_mistakes_and_roles(api) -> None:
    assert (await api.call("GET", "/audit?nonsense=1", OWNER))[0] == 422
    assert (await api.call("GET", "/audit?from=yesterday", OWNER))[0] == 422
    assert (await api.call("GET", "/audit?cursor=x", OWNER))[0] == 422
    assert (await api.call("GET", "/audit", actor_of(Role.MEMBER)))[0] == 403
    assert (await api.call("GET", "/audit", None))[0] == 401


async def test_chains(api, scene) -> None:
    gateway = Gateway("gtw_1", "one", "default", "1", 0, 5, 0, "", "3:" + "a" * 64)
    await scene.store.registry.heartbeat(gateway)
    _, page, _ = await api.call("GET", "/audit/chains", OWNER)
    assert [(chain["gateway_id"], chain["status"]) for chain in page["data"]] == [("gtw_1", "elsewhere")]
