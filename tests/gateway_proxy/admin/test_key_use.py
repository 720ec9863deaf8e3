import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.gateway_view import NoGateway
from gateway_proxy.admin.key_use import KeyUseAdmin
from gateway_proxy.admin.problem import NotFound
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage.registry import Gateway
from tests.support.dashboard import OWNER, Dashboard, acting_as


async def make_key(dashboard: Dashboard) -> str:
    return str((await dashboard.admin.keys.create(OWNER, {"name": "x"})).key["id"])


async def test_counters_are_what_the_gateway_says(dashboard: Dashboard) -> None:
    key_id = await make_key(dashboard)
    dashboard.view.counted[key_id] = {"requests": {"limit": 6, "remaining": 5, "reset_ms": 1}}
    counters = await dashboard.admin.key_use.counters(OWNER, key_id)
    assert counters is not None
    assert counters["requests"] == {"limit": 6, "remaining": 5, "reset_ms": 1}


async def test_counters_are_not_known_when_the_gateway_is_silent(dashboard: Dashboard) -> None:
    key_id = await make_key(dashboard)
    dashboard.view.silent = True
    assert await dashboard.admin.key_use.counters(OWNER, key_id) is None
    without = KeyUseAdmin(dashboard.store, dashboard.admin.keys, dashboard.admin.logs, Clock(), NoGateway())
    assert await without.counters(OWNER, key_id) is None


async def test_last_requests_are_the_keys_own_newest_first(dashboard: Dashboard) -> None:
    key_id = await make_key(dashboard)
    other = await make_key(dashboard)
    now_ms = Clock().now_ms()
    rows = [
        LogRow(request_id=f"req_{i}", at=now_ms - 1000 * i, gateway_id="gtw_1", organization="default", key_id=key)
        for i, key in enumerate([key_id, other, key_id, key_id])
    ]  # fmt: skip
    await dashboard.store.ledger.append("gtw_1", Batch(logs=rows))
    found = await dashboard.admin.key_use.last_requests(OWNER, key_id, limit=2)
    assert [row["request_id"] for row in found] == ["req_0", "req_2"]


async def test_gateways_have_the_key_or_do_not_yet(dashboard: Dashboard) -> None:
    key_id = await make_key(dashboard)
    changes = await dashboard.store.keys.list_changes(key_id=key_id, limit=1)
    now_ms = Clock().now_ms()
    for name, applied in (("one", changes[0].seq), ("two", changes[0].seq - 1)):
        await dashboard.store.registry.heartbeat(
            Gateway(f"gtw_{name}", name, "default", "0", now_ms, now_ms, applied, "")
        )
    copies = await dashboard.admin.key_use.gateways(OWNER, key_id)
    assert [(copy.name, copy.has_it) for copy in copies] == [("one", True), ("two", False)]


@pytest.mark.parametrize("question", ["counters", "last_requests", "gateways"])
async def test_keys_of_others_do_not_exist(dashboard: Dashboard, question: str) -> None:
    key_id = await make_key(dashboard)
    for actor in (acting_as(Role.MEMBER), acting_as(Role.OWNER, organization="other")):
        with pytest.raises(NotFound):
            await getattr(dashboard.admin.key_use, question)(actor, key_id)
