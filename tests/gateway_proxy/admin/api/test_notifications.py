"""`/notifications` over HTTP."""

import pytest

from gateway_proxy.admin import notifications
from gateway_proxy.admin.actor import Role
from tests.support.admin import actor_of

OWNER = actor_of(Role.OWNER)
BASE = "/notifications"


@pytest.fixture(autouse=True)
async def _endpoint(scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "TEST_WAIT_SECONDS", 0.01)
    await scene.store.deliveries.publish("default", [("hook-1", "webhook", "https://one/", ("key.*",))])


async def test_the_whole_walk(api, scene) -> None:
    _, page, _ = await api.call("GET", f"{BASE}/endpoints", OWNER)
    assert [endpoint["id"] for endpoint in page["data"]] == ["hook-1"]
    status, tested, _ = await api.call("POST", f"{BASE}/endpoints/hook-1/test", OWNER)
    assert status == 200 and tested["state"] == "pending" and tested["type"] == "notification.test"
    await scene.store.deliveries.fail(tested["event_id"], "hook-1", 410, "answered 410")
    await scene.store.deliveries.disable("hook-1", "answered 410", 1)
    for query, count in (("", 1), ("?state=failed", 1), ("?state=delivered", 0), ("?endpoint=hook-9", 0)):
        _, page, _ = await api.call("GET", f"{BASE}/deliveries{query}", OWNER)
        assert len(page["data"]) == count
    _, enabled, _ = await api.call("POST", f"{BASE}/endpoints/hook-1/enable", OWNER, {})
    assert enabled["status"] == "enabled"
    _, again, _ = await api.call("POST", f"{BASE}/deliveries/{tested['id']}/redeliver", OWNER)
    assert again["state"] == "pending"


async def test_mistakes_and_roles(api) -> None:
    assert (await api.call("GET", f"{BASE}/deliveries?state=lost", OWNER))[0] == 422
    assert (await api.call("POST", f"{BASE}/endpoints/hook-9/test", OWNER))[0] == 404
    assert (await api.call("POST", f"{BASE}/endpoints/hook-1/test", actor_of(Role.VIEWER)))[0] == 403
    assert (await api.call("POST", f"{BASE}/endpoints/hook-1/test", OWNER, {"x": 1}))[0] == 422
    assert (await api.call("GET", f"{BASE}/endpoints", actor_of(Role.MEMBER)))[0] == 403
