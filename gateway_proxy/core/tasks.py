"""Tracked tasks: kept alive while they run, drained at shutdown, their failures logged."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

log = logging.getLogger("gateway_proxy.tasks")
_MOST_CANCELLATIONS = 3
_running: set[asyncio.Task[Any]] = set()
_owned: set[asyncio.Task[Any]] = set()


def spawn(coro: Coroutine[Any, Any, Any], name: str, *, owned: bool = False) -> asyncio.Task[Any]:
    """Run `coro` on its own; the reference is kept until it ends. `drain` leaves `owned` ones to who spawned them."""
    task = asyncio.get_running_loop().create_task(coro, name=name)
    _running.add(task)
    if owned:
        _owned.add(task)
    task.add_done_callback(_finish)
    return task


def _finish(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    _owned.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed", task.get_name(), exc_info=error)


def running() -> int:
    """How many spawned tasks have not ended."""
    return len(_running)


async def wait_for_event(event: asyncio.Event, timeout_seconds: float) -> None:
    """Return when the event is set, or after the time.

    Not `asyncio.wait_for`, which may swallow a cancellation that comes together with the event (Python 3.11).
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return


async def end(tasks: Iterable[asyncio.Task[Any]], patience_seconds: float = 2.0) -> None:
    """Cancel the tasks and wait until they have ended: one that swallows a cancellation gets another."""
    late = set(tasks)
    for _ in range(_MOST_CANCELLATIONS):
        for task in late:
            task.cancel()
        if late:
            _, late = await asyncio.wait(late, timeout=patience_seconds)
    for task in late:
        log.error("task %s does not end; it is left behind", task.get_name())


async def drain(timeout_seconds: float) -> int:
    """Wait for the spawned tasks of this loop but `owned` ones; returns how many were cancelled at the deadline."""
    loop = asyncio.get_running_loop()
    current = asyncio.current_task()
    mine = {task for task in _running - _owned if task.get_loop() is loop and task is not current}
    if not mine:
        return 0
    _, late = await asyncio.wait(mine, timeout=timeout_seconds)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=1)
    return len(late)
