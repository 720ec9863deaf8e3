"""Comes back to a server that is away: what an attempt meets is not known before it is over, so new ones begin beside those
that hang. The first that succeeds ends the others. What an attempt is, and what it may cost, is the caller's."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from gateway_proxy.core.tasks import spawn

REACH_EVERY_SECONDS = 0.25  # so long after the network is back the next attempt has begun
_T = TypeVar("_T")


async def reach(attempt: Callable[[], Awaitable[_T | None]], let_go: Callable[[_T], None], name: str) -> _T:
    """What the first successful attempt returned, however long that takes; None is a failure, and it raises nothing.

    A new one begins every REACH_EVERY_SECONDS, also where the former was refused at once. `let_go` takes what others still
    bring.
    """

    async def run() -> _T | None:
        return await attempt()

    attempts: set[asyncio.Task[_T | None]] = set()
    try:
        while True:
            began = asyncio.get_running_loop().time()
            attempts.add(spawn(run(), name))
            done, attempts = await asyncio.wait(
                attempts, timeout=REACH_EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            reached = [found for task in done if (found := task.result()) is not None]
            for spare in reached[1:]:
                let_go(spare)
            if reached:
                return reached[0]
            if done:
                passed = asyncio.get_running_loop().time() - began
                await asyncio.sleep(REACH_EVERY_SECONDS - passed)
    finally:
        for task in attempts:
            task.add_done_callback(partial(_end, let_go))
            task.cancel()


def _end(let_go: Callable[[_T], None], task: "asyncio.Task[_T | None]") -> None:
    """Of an attempt that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None and (found := task.result()) is not None:
        let_go(found)
