"""Whatever is lost, repeated, out of order or restarted from an old copy: what a gateway serves becomes what the store says."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.app.follower import Follower
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.core.store import KeyRecord, StoredSecret
from gateway_proxy.keys.directory import KeyDirectory

NAMES = "abc"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["edit", "revoke", "delete", "follow", "lose", "repeat", "lag", "fail", "copy", "restart", "load"]
        ),
        st.sampled_from(NAMES),
    ),
    max_size=40,
)


class Store:
    """The truth, its change log, and how badly it is read."""

    def __init__(self) -> None:
        self.seq = 0
        self.records: dict[str, KeyRecord] = {}
        self.log: list[str] = []
        self.versions: list[dict[str, KeyRecord]] = [{}]
        self.lag = 0  # the next answer is of so many changes ago, as from a replica
        self.fails = False

    def change(self, act: str, name: str) -> None:
        known = self.records.get(name)
        if act == "delete":
            if known is None or known.key is None:
                return
            record = KeyRecord(name, None)
        elif known is not None and known.key is None:
            return  # deleted for good
        else:
            revision = 1 if known is None or known.key is None else known.key.revision + 1
            key = Key(
                id=name, name=f"{name}{revision}", organization="default", owner="local", revision=revision,
                revoked_at=1 if act == "revoke" else None,
            )  # fmt: skip
            record = KeyRecord(name, key, (StoredSecret(f"{name}{revision}".encode(), ""),))
        self.seq += 1
        self.records = {**self.records, name: record}
        self.log.append(name)
        self.versions.append(self.records)

    async def load_keys(self) -> tuple[int, Sequence[KeyRecord]]:
        return self.seq, [record for record in self.records.values() if record.key is not None]

    async def changes_after(self, seq: int, /) -> tuple[int, Sequence[KeyRecord]]:
        if self.fails:
            self.fails = False
            raise OSError("away")
        read, self.lag = max(seq, self.seq - self.lag), 0
        return self.seq, [
            self.versions[read].get(n, KeyRecord(n, None)) for n in dict.fromkeys(self.log[seq:])
        ]

    async def changed(self) -> bool:
        return True

    async def wait_for_news(self) -> None:
        return None

    def silence_seconds(self) -> float:
        return 0.0


class Gateway:
    def __init__(self, store: Store) -> None:
        self.store, self.directory = store, KeyDirectory()
        self.revisions: dict[str, int] = {}
        self.follower = Follower(
            store,
            self.directory,
            FakeClock(),
            prepare=self._wait,
            end_keys=lambda keys: None,
            acknowledge=self._wait,
        )

    async def _wait(self, _: object) -> None:
        await asyncio.sleep(0)

    def check(self) -> None:
        """No key goes back to an earlier revision."""
        for name in NAMES:
            key = self.directory.key(name)
            if key is not None:
                assert key.revision >= self.revisions.get(name, 0)
                self.revisions[name] = key.revision


def _equal(gateway: Gateway, store: Store) -> bool:
    return all(
        gateway.directory.record(name) == store.records.get(name, KeyRecord(name, None)) for name in NAMES
    )


@settings(max_examples=60, deadline=None)
@given(STEPS)
@pytest.mark.slow
def test_every_gateway_becomes_what_the_store_says(steps: list[tuple[str, str]]) -> None:
    asyncio.run(_walk(steps))


async def _walk(steps: list[tuple[str, str]]) -> None:
    store = Store()
    gateway = Gateway(store)
    copy: tuple[int, list[KeyRecord]] = (0, [])
    for act, name in steps:
        if act in ("edit", "revoke", "delete"):
            store.change(act, name)
        elif act == "lag":
            store.lag = 2
        elif act == "fail":
            store.fails = True
        elif act == "copy":
            copy = (
                gateway.follower.seq,
                [gateway.directory.record(found) for found in gateway.directory.ids()],
            )
        elif act == "restart":  # from a copy, however old
            gateway = Gateway(store)
            gateway.follower.resume(copy[1], copy[0], 0)
        elif act == "load":
            await gateway.follower.load()
        elif act in ("follow", "repeat"):
            if act == "repeat":
                gateway.follower.seq = max(0, gateway.follower.seq - 2)
            try:
                await gateway.follower.catch_up()
            except OSError:
                continue
        gateway.check()
    store.lag, store.fails = 0, False
    if "lag" in {act for act, _ in steps}:
        gateway.follower.seq = 0  # a replica may have hidden a change behind a number that was read already
    await gateway.follower.catch_up()
    gateway.check()
    assert _equal(gateway, store)
