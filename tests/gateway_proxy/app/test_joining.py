"""A gateway that starts while nobody answers at the store: from its own disk, and joined as soon as somebody does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway_proxy.app import keeping
from gateway_proxy.app.gateway import Gateway
from gateway_proxy.app.keeping import FILE
from gateway_proxy.app.opening import opened_store
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.store import CountersMark
from gateway_proxy.keys.service import Caller, Changed, KeyService
from gateway_proxy.storage import Store, StoreError
from gateway_proxy.storage.database import StoreUnreachable
from gateway_proxy.storage.snapshot import SnapshotRefused
from tests.support.books import finish, make_row
from tests.support.waiting import until

pytestmark = pytest.mark.slow
CALLER = Caller("tests")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "TOUCH_SECONDS", 0.01)


@asynccontextmanager
async def opened(folder: Path, *, away: bool = False) -> AsyncIterator[tuple[Store, Gateway]]:
    """A gateway, not yet open, on a store that is taken for one on a server; with `away` nobody answers there."""
    path = folder / "config.toml"
    path.write_text("[gateway]\nmax_staleness_seconds = 60\nstrict_staleness_seconds = 5\n")
    config = load_config(path)
    async with opened_store(config) as (store, pepper):
        store.db.dialect = "fleet"
        await store.registry.ensure_organization("default")
        gateway = Gateway(config, store, pepper)
        if away:
            store.is_joined = False
            _take_away(store)
        yield store, gateway


def _take_away(store: Store) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnreachable("nobody answers")

    store.keys.changed = store.registry.heartbeat = fail  # type: ignore[assignment,method-assign]


def _bring_back(store: Store) -> None:
    del store.keys.changed, store.registry.heartbeat  # type: ignore[method-assign]


async def make_key(store: Store, gateway: Gateway, **members: object) -> Changed:
    service = KeyService(store.keys, Clock(), gateway._pepper)
    return await service.create({"name": "test", **members}, CALLER, organization="default")


async def start_once(folder: Path) -> tuple[str, str]:
    """Leaves a snapshot of two keys, one with a budget; returns their ids."""
    async with opened(folder) as (store, gateway):
        plain, paid = await make_key(store, gateway), await make_key(store, gateway, budget_usd="1")
        await gateway.open()
        await until(lambda: gateway.joining.keeping is not None and gateway.joining.keeping._is_written)
        await gateway.close()
    return plain.key.id, paid.key.id


async def test_it_goes_on_from_its_own_disk_and_joins_later(tmp_path: Path) -> None:
    plain_id, paid_id = await start_once(tmp_path)
    async with opened(tmp_path, away=True) as (store, gateway):
        await gateway.open()
        assert gateway.directory.key(plain_id) is not None and not gateway.attachment.is_barred(strict=True)
        budgeted = gateway.directory.key(paid_id)
        assert budgeted is not None and gateway.limiter.needs_rebuild(budgeted)
        assert await store.registry.list_gateways() == []
        # What is settled meanwhile waits in the spool.
        row = make_row(1, key_id=plain_id, gateway_id=gateway.id)
        assert gateway.writer.intent(row)
        gateway.writer.settle(finish(row))
        await asyncio.sleep(0.05)
        assert await store.db.fetch("SELECT * FROM ledger") == []
        _bring_back(store)
        await until(lambda: not gateway.limiter.needs_rebuild(budgeted))
        await gateway.writer.flush()
        assert len(await store.db.fetch("SELECT * FROM ledger")) == 1
        while not (found := await store.registry.list_gateways()):
            await asyncio.sleep(0.01)  # the last step of joining
        assert [record.id for record in found] == [gateway.id]
        await gateway.close()


async def test_what_waited_is_not_lost_when_it_ends_before_anybody_answers(tmp_path: Path) -> None:
    plain_id, _ = await start_once(tmp_path)
    for number in range(2):
        async with opened(tmp_path, away=True) as (store, gateway):
            await gateway.open()
            row = make_row(number, key_id=plain_id, gateway_id=gateway.id)
            assert gateway.writer.intent(row)
            gateway.writer.settle(finish(row))
            await gateway.close()
            assert await store.db.fetch("SELECT * FROM ledger") == []
    async with opened(tmp_path) as (store, gateway):
        await gateway.open()
        assert len(await store.db.fetch("SELECT * FROM ledger")) == 2
        await gateway.close()


async def test_who_was_away_for_too_long_serves_nobody(tmp_path: Path) -> None:
    await start_once(tmp_path)
    async with opened(tmp_path, away=True) as (_, gateway):
        later = gateway.clock.now_ms() + 61_000
        gateway.clock.now_ms = lambda: later  # type: ignore[method-assign]
        await gateway.open()
        assert gateway.attachment.is_barred(strict=False)
        await gateway.close()


async def test_a_store_that_is_not_the_one_is_not_joined(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await start_once(tmp_path)
    async with opened(tmp_path, away=True) as (store, gateway):
        await gateway.open()
        await store.registry.set_meta("pepper_id", "pep_other")
        _bring_back(store)
        await until(lambda: "the store cannot be joined: the pepper" in caplog.text)
        assert gateway.writer._is_held
        await gateway.close()


async def test_without_a_snapshot_it_does_not_start(tmp_path: Path) -> None:
    await start_once(tmp_path)
    (tmp_path / "gateway-data" / FILE).unlink()
    async with opened(tmp_path, away=True) as (_, gateway):
        with pytest.raises(SnapshotRefused, match="no snapshot"):
            await gateway.open()
    assert issubclass(SnapshotRefused, StoreError)


@pytest.mark.parametrize(("reserved", "is_whole"), [(1000, True), (0, False)])
async def test_shared_counters_are_gone_on_by_unless_something_was_not_reserved(
    tmp_path: Path, reserved: int, is_whole: bool
) -> None:
    mark = CountersMark("e1", "run", 7, 0, "gtw_1/0.a")
    _, paid_id = await start_once(tmp_path)
    async with opened(tmp_path) as (_, gateway):
        gateway.limits.mark = mark  # type: ignore[misc]
        await gateway.open()
        keeping = gateway.joining.keeping
        await until(lambda: keeping is not None and keeping._is_written)
        # It dies while this runs: nobody had a budget when it began, or it was asked for one.
        gateway.spool.intent(make_row(1, key_id=paid_id, reserved_nanos=reserved, estimated_nanos=30))
        await gateway.close()
    given: list[CountersMark | None] = []

    async def resume(mark: CountersMark | None, *_: object) -> None:
        given.append(mark)

    async with opened(tmp_path, away=True) as (_, gateway):
        gateway.limits.resume = resume  # type: ignore[method-assign]
        await gateway.open()
        assert given == [mark if is_whole else None]
        await gateway.close()
