"""Following the change log: counters first, then the policy; the end of a key ends what runs."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from gateway_proxy.app import follower
from gateway_proxy.app.follower import Follower
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.core.store import KeyRecord, StoredSecret
from gateway_proxy.keys.directory import KeyDirectory

NOW = 1_790_000_000_000


def record(name: str, **members: object) -> KeyRecord:
    key = Key(id=name, name=name, organization="default", owner="local", **members)  # type: ignore[arg-type]
    return KeyRecord(name, key, (StoredSecret(name.encode(), "p"),))


class Store:
    def __init__(self, *records: KeyRecord) -> None:
        self.all, self.news, self.seq, self.down = list(records), list[KeyRecord](), 1, False
        self.silence = 0.0

    async def load_keys(self) -> tuple[int, Sequence[KeyRecord]]:
        return self.seq, self.all

    async def changed(self) -> bool:
        if self.down:
            raise OSError("away")
        return True

    async def wait_for_news(self) -> None:
        await asyncio.sleep(0.001)

    def silence_seconds(self) -> float:
        return self.silence

    async def changes_after(self, seq: int) -> tuple[int, Sequence[KeyRecord]]:
        if self.down:
            raise OSError("away")
        return self.seq, self.news if seq < self.seq else ()


class Scene:
    def __init__(self, *records: KeyRecord) -> None:
        self.store, self.directory, self.clock = Store(*records), KeyDirectory(), FakeClock(NOW)
        self.done: list[object] = []
        self.follower = Follower(
            self.store,
            self.directory,
            self.clock,
            prepare=self._prepare,
            end_keys=lambda keys: self.done.append(keys),
            acknowledge=self._acknowledge,
        )

    async def _prepare(self, records: Sequence[KeyRecord]) -> None:
        self.done.append(("prepare", len(self.directory), len(records)))

    async def _acknowledge(self, seq: int) -> None:
        self.done.append(("acknowledge", seq))


async def test_counters_are_ready_before_a_policy_is_used() -> None:
    scene = Scene(record("a"))
    await scene.follower.load()
    assert scene.done[0] == ("prepare", 0, 1) and len(scene.directory) == 1
    scene.store.seq, scene.store.news = 2, [record("b")]
    scene.done.clear()
    await scene.follower.catch_up()
    assert scene.done == [("prepare", 1, 1), ("acknowledge", 2)]
    assert scene.directory.find(b"b", NOW) is not None
    scene.done.clear()
    await scene.follower.catch_up()
    assert scene.done == []  # nothing new


async def test_who_waits_for_a_change_goes_on_when_it_has_come_or_after_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(record("a"))
    await scene.follower.load()
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            scene.follower.seq = 2

    monkeypatch.setattr(follower.asyncio, "sleep", wait)
    await scene.follower.reach(1)
    assert waited == []
    await scene.follower.reach(2)
    assert len(waited) == 3
    await scene.follower.reach(3)
    assert sum(waited[3:]) == pytest.approx(1)


async def test_revoked_and_deleted_keys_end_what_runs() -> None:
    scene = Scene(record("a"), record("b"))
    await scene.follower.load()
    scene.store.seq, scene.store.news = 2, [record("a", revoked_at=5), KeyRecord("b", None)]
    await scene.follower.catch_up()
    assert frozenset({"a", "b"}) in scene.done
    assert scene.directory.find(b"b", NOW) is None


async def test_a_store_that_is_away_changes_nothing_but_the_age(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(follower, "RETRY_SECONDS", 0.001)
    scene = Scene(record("a"))
    await scene.follower.load()
    scene.store.down = True
    with caplog.at_level(logging.ERROR):
        following = asyncio.get_running_loop().create_task(scene.follower.follow())
        scene.clock.advance(40)
        await asyncio.sleep(0.05)
        assert scene.follower.staleness_seconds() == 40
        assert scene.directory.find(b"a", NOW) is not None
        assert caplog.text.count("cannot be read") == 1
        scene.store.down = False
        await asyncio.sleep(0.05)
        assert scene.follower.staleness_seconds() == 0
        scene.store.silence = 3  # what is told now is three seconds old
        scene.clock.advance(10)
        await asyncio.sleep(0.05)
        assert scene.follower.staleness_seconds() == 3
    following.cancel()


async def test_what_failed_is_done_again_and_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "RETRY_SECONDS", 0.001)
    scene = Scene(record("a"))
    await scene.follower.load()
    asked = False
    acknowledge, fail = scene._acknowledge, [True]

    async def changed() -> bool:
        nonlocal asked
        first, asked = not asked, True
        return first

    async def fail_once(seq: int) -> None:
        if fail:
            fail.pop()
            raise OSError("away")
        await acknowledge(seq)

    scene.store.changed = changed  # type: ignore[method-assign]
    scene.follower._acknowledge = fail_once
    scene.store.seq, scene.store.news, scene.store.down = 2, [record("b")], True
    following = asyncio.get_running_loop().create_task(scene.follower.follow())
    await asyncio.sleep(0.02)
    assert scene.directory.find(b"b", NOW) is None
    scene.store.down = False
    await asyncio.sleep(0.05)
    assert scene.directory.find(b"b", NOW) is not None and ("acknowledge", 2) in scene.done
    following.cancel()


async def test_the_end_of_a_key_waits_for_no_counter() -> None:
    scene = Scene(record("a"), record("b"))
    await scene.follower.load()

    async def fail(records: Sequence[KeyRecord]) -> None:
        raise OSError("no counters")

    scene.follower._prepare = fail
    ended = record("a", revoked_at=5, revision=2)
    scene.store.seq, scene.store.news = 2, [ended, record("b", preview="new", revision=2)]
    with pytest.raises(OSError, match="no counters"):
        await scene.follower.catch_up()
    revoked, other = scene.directory.key("a"), scene.directory.key("b")
    assert revoked == ended.key and other is not None and other.preview == ""
    assert frozenset({"a"}) in scene.done and scene.follower.seq == 1


async def test_an_older_revision_never_follows_a_newer_one_but_a_restored_store_is_believed() -> None:
    scene = Scene(record("a", revision=3))
    scene.store.seq = 5
    await scene.follower.load()
    scene.store.seq, scene.store.news = 6, [record("a", revision=2)]
    await scene.follower.catch_up()
    known = scene.directory.key("a")
    assert known is not None and known.revision == 3
    scene.store.seq, scene.store.all = 2, [record("a", revision=1)]
    await scene.follower.catch_up()
    known = scene.directory.key("a")
    assert known is not None and known.revision == 1 and scene.follower.seq == 2
