"""Which limits a gateway has follows from its settings."""

from pathlib import Path

import pytest

from gateway_proxy.app.limits import OwnLimits, make_limits
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, StoreError
from gateway_proxy.storage.registry import Gateway
from tests.support.stores import clock, on_sqlite, store, store_url

__all__ = ["clock", "store", "store_url"]

OTHER = Gateway("gtw_other", "edge", "default", "0.1.0", 1, 2, 3, "cafe")


@on_sqlite
@pytest.mark.parametrize(
    ("tables", "is_shared"),
    [
        ("", False),
        ('[shared]\nredis_url = "redis://127.0.0.1:1"\n', False),  # one file has one gateway
        ('[storage]\nurl = "postgresql://gateway@127.0.0.1/gateway"\n', False),
        (
            '[storage]\nurl = "postgresql://gateway@127.0.0.1/gateway"\n[shared]\nredis_url = "unix:///run/redis.sock?db=2"\n',
            True,
        ),
    ],
)
async def test_they_are_shared_where_both_urls_say_so(
    store: Store, clock: FakeClock, tmp_path: Path, tables: str, is_shared: bool
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(tables)
    assert make_limits(load_config(path), store, clock).is_shared == is_shared


@on_sqlite
async def test_alone_on_a_store_or_not_at_all(store: Store, clock: FakeClock) -> None:
    limits = OwnLimits(store, clock)
    await limits.refuse_company([], "gtw_own")
    with pytest.raises(StoreError, match=r"gtw_other.*shared\.redis_url"):
        await limits.refuse_company([OTHER], "gtw_own")
    assert limits.describe() is None
    # One that was not heard of for long may go on by shared counters, until it comes back or is let go.
    await store.registry.heartbeat(OTHER)
    await store.epochs.join("gtw_other/0.a", OTHER.id, 0, 1)
    await limits.refuse_company([], OTHER.id)
    with pytest.raises(StoreError, match="gateways forget gtw_other"):
        await limits.refuse_company([], "gtw_own")
