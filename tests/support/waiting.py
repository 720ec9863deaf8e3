"""Waiting for what comes about by itself: looked at again and again, within a limit that a busy machine keeps too."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0
_STEP_SECONDS = 0.005


async def until(
    holds: Callable[[], object], seconds: float = PATIENCE_SECONDS, what: str = "it does not come about"
) -> float:
    """Let the loop run until it holds; how many seconds that took. Fails with `what` after so many."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, what
        await asyncio.sleep(_STEP_SECONDS)
    return time.monotonic() - began


def wait_until(
    holds: Callable[[], object], seconds: float = PATIENCE_SECONDS, what: str = "it does not come about"
) -> float:
    """The same for what other threads and processes do."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, what
        time.sleep(_STEP_SECONDS)
    return time.monotonic() - began
