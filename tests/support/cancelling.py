"""Questions of which half are given up at random moments; none of the others may get another's answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable

__all__ = ["cancel_at_random"]

_AT_ONCE = 60


async def cancel_at_random(
    ask: Callable[[int], Awaitable[object]], count: int, turns: int, seed: int = 36
) -> tuple[int, int]:
    """`ask` answers with the number it is given. Each is given up after less than so many turns of the loop, or not at all.

    Returns how many answers were another's and how many questions were given up. Other errors are raised.
    """
    chance, mixed, cancelled = random.Random(seed), 0, 0
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(count, start + _AT_ONCE))
        tasks = [asyncio.ensure_future(ask(number)) for number in numbers]
        moments = {task: chance.randrange(turns) for task in tasks if chance.random() < 0.5}
        for turn in range(turns):
            for task, moment in moments.items():
                if moment == turn:
                    task.cancel()
            await asyncio.sleep(0)
        for number, task in zip(numbers, tasks, strict=True):
            try:
                mixed += await task != number
            except asyncio.CancelledError:
                cancelled += 1
    return mixed, cancelled
