"""The timer adds up by itself, and tells how long the loop was held."""

import asyncio
import time

import pytest

from gateway_proxy.core.ledger import LogRow
from gateway_proxy.telemetry import pulse
from gateway_proxy.telemetry.pulse import Pulse
from gateway_proxy.telemetry.tally import Tally


async def test_it_adds_up_and_sees_a_held_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "INTERVAL_SECONDS", 0.01)
    tally = Tally(lambda name: True)
    added = asyncio.Event()
    add_up = tally.add_up
    monkeypatch.setattr(tally, "add_up", lambda: (add_up(), added.set()))
    beat = Pulse(tally)
    tally.note_request(LogRow(request_id="req_1", at=1, gateway_id="gtw_1"))
    task = asyncio.get_running_loop().create_task(beat.run())
    try:
        await asyncio.sleep(0)
        time.sleep(0.06)  # noqa: ASYNC251 - holds the loop on purpose
        await asyncio.wait_for(added.wait(), 5)
    finally:
        task.cancel()
    assert not tally._rows and sum(beat.lag.counts) == 1
    assert beat.lag.sum >= 45
