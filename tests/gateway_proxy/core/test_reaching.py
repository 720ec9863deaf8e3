"""Attempts that hang, fail and succeed, and what becomes of the others."""

import asyncio

import pytest

from gateway_proxy.core import reaching
from gateway_proxy.core.reaching import reach


class Server:
    """The attempt's number is what it brings; each does what `plan` says of it: fail, hang until `healed`, or answer."""

    def __init__(self, *plan: str) -> None:
        self.plan, self.healed = plan, asyncio.Event()
        self.begun = 0
        self.closed: list[int] = []

    async def attempt(self) -> int | None:
        number, self.begun = self.begun, self.begun + 1
        act = self.plan[min(number, len(self.plan) - 1)]
        if act == "hang":
            await self.healed.wait()
        return None if act == "fail" else number


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "REACH_EVERY_SECONDS", 0.01)


async def test_a_failure_is_followed_by_another_attempt() -> None:
    server = Server("fail", "fail", "answer")
    assert await reach(server.attempt, server.closed.append, "reach") == 2
    assert server.begun == 3 and not server.closed


async def test_attempts_that_hang_hold_up_nobody_and_end_with_the_first_that_succeeds() -> None:
    server = Server("hang", "hang", "answer")
    assert await reach(server.attempt, server.closed.append, "reach") == 2
    server.healed.set()
    await asyncio.sleep(0.01)
    assert not server.closed  # they were cancelled


async def test_of_several_that_succeed_at_once_one_is_kept() -> None:
    server = Server("hang")
    reaching_it = asyncio.ensure_future(reach(server.attempt, server.closed.append, "reach"))
    async with asyncio.timeout(5):
        while server.begun < 3:
            await asyncio.sleep(0.005)
    server.healed.set()
    kept = await reaching_it
    await asyncio.sleep(0.01)
    assert sorted({kept, *server.closed}) == list(range(len(server.closed) + 1)) and kept not in server.closed


async def test_whoever_is_cancelled_leaves_nothing_behind() -> None:
    server = Server("hang")
    reaching_it = asyncio.ensure_future(reach(server.attempt, server.closed.append, "reach"))
    await asyncio.sleep(0.02)
    reaching_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reaching_it
    server.healed.set()
    await asyncio.sleep(0.01)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "reach"]
