"""Prices of calls, and the wait for the servers' first answers."""

import asyncio
from typing import Any

import pytest

from gateway_proxy.core.usage import Usage
from gateway_proxy.proxy.mcp import revision as module
from gateway_proxy.proxy.mcp.revision import CallPrices, McpRevision, price_call


@pytest.mark.parametrize("nanos", [0, 1, 10_000_000, 123_456_789_012])
def test_a_call_costs_its_price_to_the_nano(nanos: int) -> None:
    assert price_call(nanos).base.cost_nanos(Usage(requests=1)) == nanos


def test_a_tool_has_the_price_of_its_server_unless_it_has_its_own() -> None:
    prices = CallPrices(price_call(5), {"dear": price_call(7), "gift": price_call(0)})
    found = [prices.of(tool).base.requests // 1_000_000 for tool in ("any", "dear", "gift")]
    assert found == [5, 7, 0]


async def test_it_waits_for_first_answers_but_not_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    asked = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    members: dict[str, Any] = dict.fromkeys(
        ("pipeline", "links", "discovery", "prices", "forbids", "allows_host")
    )
    await McpRevision(**members).settle()
    await McpRevision(**members, asked=asked).settle()
    assert not asked.done()
    asked.cancel()
