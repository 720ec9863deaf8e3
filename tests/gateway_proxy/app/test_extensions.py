"""Sinks live as long as the settings name them; waiting stages are closed when nobody can be using them."""

import asyncio
import logging
from typing import Any

import pytest

from gateway_proxy.app import sinks
from gateway_proxy.app.extensions import RETIRED_SECONDS, Extensions
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.tasks import drain
from gateway_proxy.plugins.guard import AsyncGuard
from gateway_proxy.plugins.load import NO_PLUGINS, Plugins
from gateway_proxy.plugins.sink import Rows, Sink
from gateway_proxy.plugins.stage import AsyncStage
from tests.support.books import make_log


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "GATHER_SECONDS", 0.01)


class Lake(Sink):
    def __init__(self) -> None:
        self.logs: list[Any] = []
        self.closed = 0

    def write(self, rows: Rows) -> None:
        self.logs += rows.logs

    def close(self) -> None:
        self.closed += 1


class Waits(AsyncStage):
    closed = 0

    async def check(self, exchange: Any) -> None: ...

    async def close(self) -> None:
        self.closed += 1
        raise OSError("already closed")


def using(*stages: AsyncStage, **named: Sink) -> Plugins:
    guards = tuple(("rate", AsyncGuard("w", stage, needs_body=True)) for stage in stages)
    return Plugins(guards=guards, sinks=named)


async def test_sinks_follow_the_settings() -> None:
    extensions, a, b = Extensions(FakeClock()), Lake(), Lake()
    assert extensions.tee is None
    extensions.apply(using(a=a))
    assert extensions.tee is not None
    extensions.tee(make_log(1))
    extensions.apply(using(a=a, b=b))
    extensions.tee(make_log(2))
    extensions.apply(using(b=b))
    await drain(5)
    assert (len(a.logs), a.closed) == (2, 1)
    assert b.closed == 0
    extensions.apply(NO_PLUGINS)
    assert extensions.tee is None
    await drain(5)
    assert (len(b.logs), b.closed) == (1, 1)


async def test_a_retired_stage_is_closed_after_its_last_request(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    extensions, kept, gone = Extensions(clock), Waits(), Waits()
    extensions.apply(using(kept, gone))
    extensions.apply(using(kept))
    clock.advance(RETIRED_SECONDS - 1)
    await extensions.tidy()
    assert gone.closed == 0
    clock.advance(2)
    with caplog.at_level(logging.ERROR):
        await extensions.tidy()
        await extensions.tidy()
    assert (gone.closed, kept.closed) == (1, 0)
    assert "Waits" in caplog.text


async def test_at_the_end_everything_is_closed_once() -> None:
    extensions, kept, gone, lake = Extensions(FakeClock()), Waits(), Waits(), Lake()
    extensions.apply(using(gone, lake=lake))
    extensions.apply(using(kept, lake=lake))
    await extensions.close()
    await extensions.close()
    assert (kept.closed, gone.closed, lake.closed) == (1, 1, 1)
    await asyncio.sleep(0)
