"""Keeping the snapshot: written anew after a load, changed before a change is acknowledged, without it if it must be."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway_proxy.app import keeping as module
from gateway_proxy.app.keeping import Keeping
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.core.store import CountersMark, KeyRecord, StoredSecret
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.tokens import TokenDirectory
from gateway_proxy.storage.snapshot import Snapshot, SnapshotRefused, State

NOW = 1_790_000_000_000


def record(name: str, **members: object) -> KeyRecord:
    key = Key(id=name, name=name, organization="default", owner="local", **members)  # type: ignore[arg-type]
    return KeyRecord(name, key, (StoredSecret(name.encode(), ""),))


class Scene:
    def __init__(self, tmp_path: Path) -> None:
        self.path, self.clock, self.directory = tmp_path / "snapshot.db", FakeClock(NOW), KeyDirectory()
        self.tokens = TokenDirectory(self.directory)
        self.counters: CountersMark | None = CountersMark("e1", "run", 7, 0, "gtw_1/0.a")
        self.seq, self.synced_ns = 1, self.clock.monotonic_ns()
        self.keeping = self.make()

    def make(self) -> Keeping:
        return Keeping(
            Snapshot(self.path, b"p" * 32, "store"),
            self.directory,
            self.tokens,
            self.clock,
            seq=lambda: self.seq,
            synced_ns=lambda: self.synced_ns,
            revoked_at=lambda: None,
            counters=lambda: self.counters,
            cursor=lambda: (3, 70),
        )

    async def found(self) -> dict[str, Key | None]:
        """What the next process would find."""
        other = self.make()
        try:
            saved, _ = await other.recall()
        finally:
            other.close()
        return {record.key_id: record.key for record in saved.records}


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(module, "TOUCH_SECONDS", 0.005)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.005)
    scene = Scene(tmp_path)
    scene.directory.apply([record("a"), record("b")])
    scene.tokens.bury(["gone"], NOW)
    running = asyncio.ensure_future(scene.keeping.run())
    yield scene
    running.cancel()
    await asyncio.wait([running])
    scene.keeping.close()


async def until_written(scene: Scene) -> dict[str, Key | None]:
    while True:
        try:
            return await scene.found()
        except SnapshotRefused:
            await asyncio.sleep(0.005)


async def test_what_is_in_force_is_written_and_so_is_each_change(scene: Scene) -> None:
    assert await until_written(scene) == {
        "a": scene.directory.key("a"),
        "b": scene.directory.key("b"),
        "gone": None,
    }
    revoked = record("a", revoked_at=5)
    await scene.keeping.advance([revoked, KeyRecord("b", None)], 2)
    assert await scene.found() == {"a": revoked.key, "b": None, "gone": None}


async def test_expired_tokens_do_not_pile_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await until_written(scene)
    monkeypatch.setattr(module, "MAX_LEFT_OVER", 10)
    # At once: else all could be written anew in the middle, and what came afterwards would be too few.
    await scene.keeping.advance([record(f"token-{number}") for number in range(20)], 2)  # forgotten already
    async with asyncio.timeout(10):
        while set(await until_written(scene)) != {"a", "b", "gone"}:
            await asyncio.sleep(0.005)


async def test_a_load_makes_what_was_written_void_at_once(scene: Scene) -> None:
    await until_written(scene)
    scene.directory.apply([record("a", revoked_at=5)])
    await scene.keeping.restart()
    with suppress(SnapshotRefused):  # unless it was written anew already
        assert (await scene.found())["a"] == scene.directory.key("a")
    assert (await until_written(scene))["a"] == scene.directory.key("a")


async def test_how_old_it_is_follows_the_last_word_of_the_store(scene: Scene) -> None:
    await until_written(scene)
    scene.clock.advance(30)  # the store says nothing
    await asyncio.sleep(0.05)
    scene.clock.advance(10)
    other = scene.make()
    _, age_ns = await other.recall()
    assert age_ns == 40 * 10**9
    scene.synced_ns = scene.clock.monotonic_ns()
    while (await other.recall())[1]:
        await asyncio.sleep(0.005)
    scene.clock = FakeClock(NOW - 60_000)  # set back: nobody knows how old it is
    future = scene.make()
    with pytest.raises(SnapshotRefused, match="from the future"):
        await future.recall()
    future.close()
    other.close()


async def test_a_disk_that_fails_stops_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await until_written(scene)
    write = Snapshot._write_head

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    scene.directory.apply([record("c")])
    with caplog.at_level(logging.ERROR):
        monkeypatch.setattr(Snapshot, "_write_head", fail)
        await scene.keeping.advance([record("c")], 2)
        await asyncio.sleep(0.03)
    assert "the disk is full" in caplog.text
    with pytest.raises(SnapshotRefused):
        await scene.found()
    monkeypatch.setattr(Snapshot, "_write_head", write)
    assert set(await until_written(scene)) == {"a", "b", "c", "gone"}


async def test_what_is_noted_beside_the_keys_is_written_when_it_is_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def noted() -> State:
        other = scene.make()
        try:
            return (await other.recall())[0].state
        finally:
            other.close()

    await until_written(scene)
    monkeypatch.setattr(module, "TOUCH_SECONDS", 60)
    await asyncio.sleep(0.05)  # after the last of those that come by themselves
    mark, scene.counters = scene.counters, None
    await scene.keeping.note()
    assert (await noted()).counters is None
    scene.counters = mark
    scene.keeping.touch()
    async with asyncio.timeout(10):
        while (await noted()).counters != mark:
            await asyncio.sleep(0.005)
    assert (await noted()).cursor == (3, 70)
