"""Spawned tasks are kept, awaited at the end, and their failures told."""

import asyncio
import logging

import pytest

from gateway_proxy.core.tasks import drain, running, spawn


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


async def test_a_failure_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR):
        spawn(fail(), "a job")
        await drain(1)
        await asyncio.sleep(0)
    assert "task a job failed" in caplog.text
