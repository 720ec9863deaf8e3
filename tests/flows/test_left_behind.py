"""Streams whose clients hang up in the middle leave nothing behind: no exchange, task, connection or descriptor."""

import asyncio
import time
from collections.abc import Callable

import pytest

from bench.client import count_descriptors, exchange, make_request
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

TABLES = (
    '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
    "max_output_tokens = 100\nmax_input_tokens = 1000\nprice = { input = 1, output = 2 }\n"
)
BODY = (
    b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"[[fake: tokens=60 delay_ms=5]]"}]}'
)


async def wait_until_quiet(gateway: RunningGateway) -> dict[str, object]:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        state = await asyncio.to_thread(gateway.readiness)
        if not state["running"] and not state["providers"]["fake"]["in_use"]:
            return state
        await asyncio.sleep(0.05)
    raise TimeoutError("exchanges are still running")


@pytest.mark.parametrize("members", [{}, {"budget_usd": "100"}], ids=["cancelled", "drained"])
async def test_nothing_is_left_of_clients_that_hang_up(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider, members: dict[str, str]
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES)
    request = make_request(gateway.url, gateway.create_key(**members).secret, BODY)
    assert (await exchange(gateway.url, request)).is_whole
    before = await wait_until_quiet(gateway)
    descriptors = count_descriptors(gateway.pid)
    for _ in range(2):
        leaving = [exchange(gateway.url, request, leave_after=n) for n in range(1, 31)]
        answers = await asyncio.gather(*leaving)
        assert all(answer.left for answer in answers)
    after = await wait_until_quiet(gateway)
    assert after["tasks"] == before["tasks"]
    warm = after["providers"]["fake"]["idle"] - before["providers"]["fake"]["idle"]
    deadline = time.monotonic() + 5
    # Whoever asked last may still be on its way out.
    while count_descriptors(gateway.pid) > descriptors + warm:
        assert time.monotonic() < deadline, "descriptors are left"
        await asyncio.sleep(0.05)
    rows = gateway.settled_rows()
    assert len(rows) == 1 + 2 * 30
    if not members:
        # An answer may have ended just as its client left.
        assert [row["outcome"] for row in rows].count("client_gone") >= 50
    assert "Traceback" not in gateway.log_text()
