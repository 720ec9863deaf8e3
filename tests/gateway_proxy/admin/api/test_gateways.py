"""`/gateways` over HTTP."""

from gateway_proxy.admin.actor import Role
from gateway_proxy.storage.registry import Gateway
from tests.support.admin import HOME, actor_of

OWNER = actor_of(Role.OWNER)
ID = "gtw_" + "0" * 26


async def test_a_gateway_is_listed_revoked_allowed_and_forgotten(api, scene) -> None:
    now_ms = scene.clock.now_ms()
    await scene.store.registry.heartbeat(Gateway(ID, "edge", HOME, "1.0", now_ms, now_ms, 0, "d1"))
    _, page, _ = await api.call(
        "GET", "/gateways?search=EDGE&status=healthy&sort=last_seen_at&order=desc", OWNER
    )
    assert [gateway["id"] for gateway in page["data"]] == [ID]
    assert (await api.call("POST", f"/gateways/{ID}/revoke", OWNER))[1]["status"] == "revoked"
    assert (await api.call("GET", f"/gateways/{ID}", OWNER))[1]["status"] == "revoked"
    assert (await api.call("GET", "/gateways?status=healthy", OWNER))[1]["data"] == []
    assert (await api.call("POST", f"/gateways/{ID}/allow", OWNER, {}))[1]["revoked_at"] is None
    assert (await api.call("POST", f"/gateways/{ID}/forget", OWNER))[0] == 204
    assert (await api.call("GET", f"/gateways/{ID}", OWNER))[0] == 404
