"""Prices that change by date are taken when their time has come."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway_proxy.app.upkeep import follow_prices
from gateway_proxy.core.clock import FakeClock


def make_gateway(change_at: int | None) -> Any:
    clock, applied = FakeClock(), []

    async def apply(config: object) -> None:
        applied.append(config)
        if config == "bad":
            raise ValueError("no")

    runtime = SimpleNamespace(price_change_at=None if change_at is None else clock.now_ms() + change_at)
    return SimpleNamespace(clock=clock, runtime=runtime, apply=apply, config="settings", applied=applied)


@pytest.mark.parametrize(("change_at", "applied"), [(None, []), (60_000, []), (0, ["settings"])])
async def test_prices_are_taken_at_their_time(change_at: int | None, applied: list[str]) -> None:
    gateway = make_gateway(change_at)
    await follow_prices(gateway)
    assert gateway.applied == applied


async def test_a_fault_leaves_the_old_ones(caplog: pytest.LogCaptureFixture) -> None:
    gateway = make_gateway(0)
    gateway.config = "bad"
    await follow_prices(gateway)
    assert "new prices are not in force" in caplog.text
