"""The follower: what changed is prepared, then in force, then acknowledged; ended keys cut what runs."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from gateway_proxy.app.follower import Follower
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.keys.directory import KeyDirectory

KEY = Key(id="key_1", name="one", organization="default", owner="local")


class Keys:
    """A key store whose changes the test makes."""

    def __init__(self) -> None:
        self.seq = 1
        self.records: dict[str, KeyRecord] = {KEY.id: KeyRecord(KEY.id, KEY)}
        self.fails = False

    async def load_keys(self) -> tuple[int, Sequence[KeyRecord]]:
        return self.seq, list(self.records.values())

    async def changed(self) -> bool:
        if self.fails:
            raise OSError("the disk is gone")
        return True

    async def changes_after(self, seq: int, /) -> tuple[int, Sequence[KeyRecord]]:
        return self.seq, ([] if seq == self.seq else list(self.records.values()))

    def put(self, record: KeyRecord) -> None:
        self.seq += 1
        self.records[record.key_id] = record


class Trace:
    """Notes the order of events."""

    def __init__(self, directory: KeyDirectory) -> None:
        self.directory = directory
        self.events: list[tuple[str, object]] = []

    async def prepare(self, records: Sequence[KeyRecord]) -> None:
        policy = self.directory.policy(KEY.id)
        self.events.append(("prepared before", None if policy is None else policy.key.revision))

    def end_keys(self, ids: frozenset[str]) -> None:
        self.events.append(("ended", ids))

    async def acknowledge(self, seq: int) -> None:
        self.events.append(("acknowledged", seq))


def make() -> tuple[Follower, Keys, KeyDirectory, Trace, FakeClock]:
    keys, directory, clock = Keys(), KeyDirectory(), FakeClock()
    trace = Trace(directory)
    follower = Follower(
        keys, directory, clock, prepare=trace.prepare, end_keys=trace.end_keys, acknowledge=trace.acknowledge
    )
    return follower, keys, directory, trace, clock


async def test_counters_are_prepared_before_the_new_policy_is_in_force() -> None:
    follower, keys, directory, trace, _ = make()
    await follower.load()
    trace.events.clear()
    keys.put(KeyRecord(KEY.id, replace(KEY, revision=2)))
    await follower.catch_up()
    policy = directory.policy(KEY.id)
    assert policy is not None
    assert policy.key.revision == 2
    assert trace.events == [("prepared before", 1), ("acknowledged", 2)]


async def test_revoked_and_deleted_keys_end_what_runs() -> None:
    follower, keys, directory, trace, _ = make()
    await follower.load()
    keys.put(KeyRecord(KEY.id, replace(KEY, revoked_at=5)))
    await follower.catch_up()
    assert ("ended", frozenset({KEY.id})) in trace.events
    trace.events.clear()
    keys.put(KeyRecord(KEY.id, None))
    await follower.catch_up()
    assert ("ended", frozenset({KEY.id})) in trace.events
    assert directory.policy(KEY.id) is None


async def test_a_catch_up_without_news_does_nothing() -> None:
    follower, _, _, trace, _ = make()
    await follower.load()
    trace.events.clear()
    await follower.catch_up()
    assert trace.events == []


async def test_a_store_that_cannot_be_read_makes_the_state_stale_and_changes_nothing() -> None:
    follower, keys, directory, _, clock = make()
    await follower.load()
    keys.fails = True
    task = asyncio.get_running_loop().create_task(follower.follow())
    await asyncio.sleep(0.02)
    clock.advance(40)
    assert follower.staleness_seconds() >= 40
    assert directory.policy(KEY.id) is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
