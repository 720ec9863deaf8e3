"""From the change log into the audit log: every act once, in order, over restarts and refusals of the disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_proxy.app import audit
from gateway_proxy.app.audit import AuditTrail
from gateway_proxy.audit.chain import derive_key
from gateway_proxy.audit.log import AuditLog, AuditUnavailable
from gateway_proxy.audit.read import Tail
from gateway_proxy.audit.verify import verify
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store
from gateway_proxy.storage.changes import record_change

KEY = derive_key(b"p" * 32, "gtw_1")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=FakeClock())
    yield store
    await store.close()


async def act(
    store: Store, action: str = "key.updated", organization: str = "default", **members: str
) -> int:
    async with store.db.transaction() as tx:
        return await record_change(
            tx, FakeClock(), action, organization=organization, actor="ada@example.com",
            details=members.pop("details", '{"changes":{"name":["a","b"]}}'), **members,
        )  # fmt: skip


class Scene:
    def __init__(self, store: Store, folder: Path, organization: str = "default") -> None:
        self.reports = 0
        self.reported = asyncio.Event()
        self.folder = folder
        log = AuditLog(folder, KEY, "gtw_1", FakeClock())
        self.trail = AuditTrail(log, store, "gtw_1", organization, self._report)

    async def _report(self) -> None:
        self.reports += 1
        self.reported.set()

    def entries(self) -> list[dict]:
        return Tail(self.folder).last(10_000)


async def test_acts_are_written_with_all_that_is_known(store: Store, tmp_path: Path) -> None:
    scene = Scene(store, tmp_path / "audit")
    assert scene.trail.head == ""
    await act(store, "key.updated", key_id="key_1", ip="192.0.2.1")
    await act(store, "member.signed_in", subject="mem_1", details="not json")
    assert await scene.trail.catch_up() == 2
    first, second = scene.entries()
    assert first["id"].startswith("aud_") and first["change"] == 1 and first["subject"] == "key_1"
    assert first["actor"] == "ada@example.com" and first["ip"] == "192.0.2.1"
    assert first["details"] == {"changes": {"name": ["a", "b"]}}
    assert second["subject"] == "mem_1" and second["details"] == "not json"
    assert scene.trail.head.startswith("2:") and scene.trail.describe() == {"head": 2, "error": None}


async def test_a_restart_goes_on_where_the_log_ends(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "BATCH", 3)
    for _ in range(7):
        await act(store)
    first = Scene(store, tmp_path / "audit")
    assert await first.trail.catch_up() == 7
    first.trail.log.close()
    for _ in range(4):
        await act(store)
    second = Scene(store, tmp_path / "audit")
    assert await second.trail.catch_up() == 4 and await second.trail.catch_up() == 0
    assert [entry["change"] for entry in second.entries()] == list(range(1, 12))
    assert verify(second.folder, KEY).ok


@pytest.mark.parametrize(("organization", "changes"), [("default", [1, 3]), ("other", [2]), ("*", [1, 2, 3])])
async def test_a_gateway_writes_down_its_own_organization(
    store: Store, tmp_path: Path, organization: str, changes: list[int]
) -> None:
    for name in ("default", "other", "default"):
        await act(store, organization=name)
    scene = Scene(store, tmp_path / "audit", organization)
    await scene.trail.catch_up()
    assert [entry["change"] for entry in scene.entries()] == changes


async def test_the_task_writes_when_it_is_woken_and_reports_each_head(store: Store, tmp_path: Path) -> None:
    scene = Scene(store, tmp_path / "audit")
    await act(store)
    running = asyncio.get_running_loop().create_task(scene.trail.run())
    await scene.reported.wait()
    scene.reported.clear()
    await act(store)
    scene.trail.wake()
    await asyncio.wait_for(scene.reported.wait(), 5)
    assert scene.reports == 2 and len(scene.entries()) == 2
    running.cancel()


async def test_acts_wait_in_the_store_while_the_disk_refuses(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "RETRY_SECONDS", 0.01)
    (tmp_path / "audit").write_text("in the way")
    scene = Scene(store, tmp_path / "audit")
    await act(store)
    with pytest.raises(AuditUnavailable):
        await scene.trail.catch_up()
    assert "cannot be written" in str(scene.trail.describe()["error"]) and scene.trail.head == ""
    running = asyncio.get_running_loop().create_task(scene.trail.run())
    (tmp_path / "audit").unlink()
    await asyncio.wait_for(scene.reported.wait(), 5)
    running.cancel()
    assert len(scene.entries()) == 1


async def test_a_restored_store_is_followed_from_its_end(store: Store, tmp_path: Path) -> None:
    before = Scene(store, tmp_path / "audit")
    before.trail.log.open()
    before.trail.log.append([{"change": 40, "action": "key.updated"}])
    before.trail.log.close()
    await act(store)
    scene = Scene(store, tmp_path / "audit")
    assert await scene.trail.catch_up() == 0
    await act(store)
    assert await scene.trail.catch_up() == 1
    assert [(entry["action"], entry["change"]) for entry in scene.entries()[1:]] == [
        ("audit.store_restored", 1),
        ("key.updated", 2),
    ]
