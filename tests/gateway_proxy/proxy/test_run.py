"""A run ends once, for one reason."""

import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.proxy.run import Cut, Run
from tests.support.exchanges import make_exchange


def make_run(*, drains: bool = False, streaming: bool = True) -> Run:
    return Run(
        make_exchange(),
        make_mocked_request("POST", "/v1/x"),
        OpenAIDialect(),
        b"",
        drains=drains,
        streaming=streaming,
        now=100.0,
    )


async def test_the_first_reason_counts() -> None:
    runs: list[Run] = []

    async def work() -> Cut | None:
        runs.append(make_run())
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cut = runs[0].take_cut()
            assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
            return cut
        return None

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    runs[0].end(Cut.REVOKED)
    runs[0].end(Cut.SHUTDOWN)
    assert await task is Cut.REVOKED


async def test_somebody_elses_cancellation_is_not_a_cut() -> None:
    async def work() -> None:
        run = make_run()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert run.take_cut() is None
            raise

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
