"""Spawned tasks are kept, awaited at the end, and their failures told."""

import asyncio
import contextlib
import logging

import pytest

from gateway_proxy.core.tasks import drain, end, running, spawn, wait_for_event


async def test_a_task_is_counted_while_it_runs() -> None:
    go = asyncio.Event()
    before = running()
    task = spawn(go.wait(), "waits")
    assert running() == before + 1
    go.set()
    assert await drain(1) == 0
    assert task.done() and running() == before


async def test_the_late_ones_are_cancelled() -> None:
    task = spawn(asyncio.sleep(60), "sleeps")
    assert await drain(0.01) == 1
    assert task.cancelled()


async def test_those_with_an_owner_are_left_to_it() -> None:
    before = running()
    task = spawn(asyncio.sleep(60), "sleeps", owned=True)
    assert await drain(5) == 0
    assert not task.done() and running() == before + 1
    await end([task])
    await asyncio.sleep(0)
    assert task.cancelled() and running() == before


async def test_a_failure_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR):
        spawn(fail(), "a job")
        await drain(1)
        await asyncio.sleep(0)
    assert "task a job failed" in caplog.text


async def test_an_event_is_waited_for_until_the_time_is_over() -> None:
    event = asyncio.Event()
    await wait_for_event(event, 0.001)
    assert not event.is_set()
    event.set()
    await wait_for_event(event, 60)


async def test_a_cancellation_that_comes_with_the_event_is_not_lost() -> None:
    event = asyncio.Event()

    async def wait_twice() -> None:
        await wait_for_event(event, 60)
        raise AssertionError("it went on")

    task = asyncio.create_task(wait_twice())
    await asyncio.sleep(0)
    event.set()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def swallow(times: int) -> None:
        for _ in range(times):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        await asyncio.sleep(60)

    once, always = spawn(swallow(1), "swallows once"), spawn(swallow(3), "swallows always")
    await asyncio.sleep(0)
    await end([once, always], patience_seconds=0.01)
    assert once.cancelled() and not always.done()
    assert "task swallows always does not end" in caplog.text
    always.cancel()
    await asyncio.wait([always])
