import asyncio
import logging

import pytest

from gateway_proxy.storage import StoreError
from gateway_proxy.storage.worker import JobQueue, Worker


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def jobs(closed: list[str]):  # type: ignore[no-untyped-def]
    jobs: JobQueue[str] = JobQueue()
    worker = Worker(jobs, "connection", "test", closed.append)
    worker.start()
    yield jobs
    jobs.close(1)
    worker.join()
    assert closed == ["connection"]


async def test_a_job_gets_the_connection_and_its_answer_or_error_comes_back(jobs: JobQueue[str]) -> None:
    assert await jobs.do(str.upper) == "CONNECTION"
    with pytest.raises(ZeroDivisionError):
        await jobs.do(lambda _: 1 / 0)
    assert await jobs.do(len) == 10


async def test_a_job_nobody_waits_for_is_still_done_in_its_turn(jobs: JobQueue[str]) -> None:
    done: list[int] = []
    task = asyncio.ensure_future(jobs.do(lambda _: done.append(1)))
    await asyncio.sleep(0)
    task.cancel()
    jobs.submit(lambda _: done.append(2))
    assert await jobs.do(lambda _: done.append(3)) is None
    assert done == [1, 2, 3]
    assert task.cancelled()


async def test_a_submitted_job_that_fails_is_logged(
    jobs: JobQueue[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        jobs.submit(lambda _: 1 / 0)
        await jobs.do(len)
    assert "division by zero" in caplog.text


async def test_a_closed_queue_takes_nothing(closed: list[str]) -> None:
    jobs: JobQueue[str] = JobQueue()
    jobs.close(0)
    with pytest.raises(StoreError, match="closed"):
        await jobs.do(len)
