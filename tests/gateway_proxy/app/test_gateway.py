"""One gateway: its readiness, and that it is alone on its store."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway_proxy.app.gateway import Gateway
from gateway_proxy.config.values import Address
from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.limits.budget import Rebuild
from gateway_proxy.storage.database import StoreError
from tests.support.in_process import serve


async def test_readiness_names_the_problem(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        gateway = served.gateway
        ready, details = gateway.describe_readiness()
        assert ready and details["problems"] == [] and details["keys"] == 1
        gateway.follower.synced_ns -= 901 * 10**9
        ready, details = gateway.describe_readiness()
        assert not ready and "cut off from the store" in details["problems"][0]
        assert gateway.attachment.is_barred(strict=True)


async def test_a_second_gateway_is_refused_on_the_same_store(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        (tmp_path / "gateway-data" / "gateway-id").unlink()
        other = Gateway(served.gateway.config, served.gateway.store, b"p" * 32)
        with pytest.raises(StoreError, match="another gateway"):
            await other.open()


async def test_an_edit_rebuilds_a_counter_only_where_it_has_to(tmp_path: Path) -> None:
    async with serve(tmp_path, "", budget_usd="5") as served:
        gateway = served.gateway
        (record,) = (await gateway.store.keys.load_keys())[1]
        assert record.key is not None
        rebuilt: list[str] = []
        begin = gateway.limiter.begin_rebuilds

        def watch(keys: Iterable[Key]) -> list[Rebuild]:
            jobs = begin(keys)
            rebuilt.extend(job.account.key_id for job in jobs)
            return jobs

        gateway.limiter.begin_rebuilds = watch  # type: ignore[method-assign]
        larger = replace(record.key, budget_nanos=9 * 10**9, revision=2)
        await gateway._prepare_keys([replace(record, key=larger)])
        assert rebuilt == []
        monthly = replace(larger, budget_period=BudgetPeriod.MONTH, revision=3)
        await gateway._prepare_keys([replace(record, key=monthly)])
        assert rebuilt == [larger.id]
        state = gateway.limiter.budget_state(monthly)
        assert state is not None and state.limit_nanos == 9 * 10**9


async def test_what_needs_a_restart_is_told_until_it_is_put_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(tmp_path, "") as served:
        gateway, before = served.gateway, served.gateway.config
        moved = before.model_copy(
            update={"server": before.server.model_copy(update={"admin_listen": Address("127.0.0.1", 1)})}
        )
        await gateway.apply(moved)
        assert "[server] admin_listen was changed in the file" in caplog.text
        caplog.clear()
        await gateway.apply(before)
        assert "was changed" not in caplog.text


async def test_what_is_reserved_begins_at_nothing(tmp_path: Path) -> None:
    async with serve(tmp_path, "", budget_usd="5") as served:
        assert served.gateway.limiter.take_reserved() == {}
