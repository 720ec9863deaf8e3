"""A gateway's part in shared counters; tests/flows/test_shared_limits.py has whole gateways."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway_proxy.app.shared_limits import SharedLimits
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import Claim, Meter, budget_rule
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.storage import Store, StoreError
from gateway_proxy.storage.registry import Gateway
from tests.support.redis import RedisServer
from tests.support.stores import clock, on_sqlite, store, store_url

__all__ = ["clock", "store", "store_url"]

pytestmark = pytest.mark.slow

KEY = Key(id="key", name="A", organization="org", owner="local", budget_nanos=1000)
OTHER = Gateway("gtw_other", "edge", "default", "0.1.0", 1, 2, 3, "cafe")


class Writer:
    flushes = 0

    async def flush(self) -> None:
        self.flushes += 1


def make(store: Store, redis: RedisServer, folder: Path) -> SharedLimits:
    path = folder / "config.toml"
    path.write_text(f'[shared]\nredis_url = "{redis.url}"\n')
    return SharedLimits(load_config(path), store, Clock())


@on_sqlite
async def test_its_life(store: Store, redis: RedisServer, tmp_path: Path) -> None:
    limits, writer = make(store, redis, tmp_path), Writer()
    limits.begin("gtw_1", 0, 1)
    await limits.open(lambda: None)
    assert limits.describe()["state"] == "ready" and limits.describe()["gateways"] == 1
    await limits.prepare([KeyRecord("key", KEY)], writer)  # type: ignore[arg-type]
    assert writer.flushes == 0

    rule = budget_rule(KEY)
    assert rule is not None
    lease = await limits.limiter.acquire((Claim("key", Meter.NANOS, rule, 600),), ("key",), "req_1~1")
    limits.limiter.settle_nanos(lease, 0)

    # The same budget with another limit stays; another period is loaded anew, with what is settled by then.
    await limits.prepare([KeyRecord("key", replace(KEY, budget_nanos=5))], writer)  # type: ignore[arg-type]
    assert writer.flushes == 0 and limits.limiter.budget_state(KEY) is not None
    monthly = replace(KEY, budget_period=BudgetPeriod.MONTH)
    await limits.prepare([KeyRecord("key", monthly)], writer)  # type: ignore[arg-type]
    assert writer.flushes == 1
    rule = budget_rule(monthly)
    assert rule is not None
    assert (await limits.limiter.acquire((Claim("key", Meter.NANOS, rule, 0),), ("key",))).period.startswith(
        "month"
    )
    samples = limits.sample()
    assert samples["shared_counters_up"] == {(): 1} and samples["shared_epochs_total"] == {(): 1}
    await limits.prepare([KeyRecord("key", None)], writer)  # type: ignore[arg-type]
    await limits.close()


@on_sqlite
async def test_company_must_share(store: Store, redis: RedisServer, tmp_path: Path) -> None:
    limits = make(store, redis, tmp_path)
    with pytest.raises(StoreError, match="does not share"):
        await limits.refuse_company([OTHER], "gtw_own")
    await store.epochs.join("gtw_other/0.a", "gtw_other", 0, 1)
    await limits.refuse_company([OTHER], "gtw_own")
