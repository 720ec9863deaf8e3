"""A gateway's standing: revoked and allowed by what the store answers, barred when it was cut off for too long."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway_proxy.app.attachment import Attachment
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store
from gateway_proxy.storage.registry import LIVE_MS, Gateway

OWN = Gateway("gtw_own", "edge", "default", "1.0", 1, 1, 0, "d1")


class Scene:
    def __init__(self, store: Store, clock: FakeClock, tmp_path: Path) -> None:
        self.store, self.clock, self.ended, self.synced_ns = store, clock, 0, clock.monotonic_ns()
        self.attachment = Attachment(
            store.registry,
            clock,
            lambda: replace(OWN, last_seen_at=clock.now_ms()),
            synced_ns=lambda: self.synced_ns,
            on_revoked=self._end,
        )
        path = tmp_path / "config.toml"
        path.write_text("[gateway]\nmax_staleness_seconds = 60\nstrict_staleness_seconds = 5\n")
        self.attachment.configure(load_config(path))

    def _end(self) -> None:
        self.ended += 1

    async def act(self, act: str) -> None:
        await self.store.registry.change_gateway(OWN.id, act, organization="default", actor="ada")  # type: ignore[arg-type]
        await self.attachment.report()


@pytest.fixture
async def scene(tmp_path: Path):
    clock = FakeClock()
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    yield Scene(store, clock, tmp_path)
    await store.close()


async def test_a_revoked_gateway_serves_nobody_until_it_is_allowed(scene: Scene) -> None:
    own = scene.attachment
    await own.report()
    assert not own.is_barred(True) and own.problems() == []
    await scene.act("gateway.revoked")
    await own.report()
    assert own.is_barred(False) and own.is_barred(True) and scene.ended == 1
    told = own.explain()
    assert (told.status, told.code, told.gateway) == (503, "store_stale", {"reason": "gateway_revoked"})
    assert "revoked" in own.problems()[0]
    await scene.act("gateway.allowed")
    assert not own.is_barred(True) and own.problems() == []


async def test_a_revocation_outlives_a_restart_and_a_clean_end_leaves_no_record_else(scene: Scene) -> None:
    await scene.attachment.report()
    await scene.attachment.leave()
    assert await scene.store.registry.list_gateways() == []
    await scene.attachment.report()
    await scene.act("gateway.revoked")
    await scene.attachment.leave()
    (left,) = await scene.store.registry.list_gateways()
    assert left.revoked_at is not None


async def test_strict_keys_are_refused_sooner(scene: Scene) -> None:
    own = scene.attachment
    scene.clock.advance(6)
    assert own.is_barred(True) and not own.is_barred(False) and own.problems() == []
    scene.clock.advance(60)
    assert own.is_barred(False) and "cut off" in own.problems()[0] and own.explain().code == "store_stale"
    scene.synced_ns = scene.clock.monotonic_ns()
    assert not own.is_barred(True)


async def test_who_else_is_live_on_a_store(scene: Scene) -> None:
    now_ms = scene.clock.now_ms()
    await scene.store.registry.heartbeat(replace(OWN, id="gtw_other", last_seen_at=now_ms))
    assert [other.id for other in await scene.attachment.list_company(OWN.id)] == ["gtw_other"]
    assert await scene.attachment.list_company("gtw_other") == []
    scene.clock.advance(LIVE_MS / 1000)
    assert await scene.attachment.list_company(OWN.id) == []


async def test_who_waits_for_all_gateways_does_not_fail_for_the_store(scene: Scene) -> None:
    await scene.attachment.report()
    await scene.attachment.reach_all(0, "default")
    await scene.store.close()
    await scene.attachment.reach_all(1, "default")
