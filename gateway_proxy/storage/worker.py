"""Threads that own a connection and do jobs on it, for drivers that block.

A job is done even if nobody waits for it any more; its answer then goes nowhere.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gateway_proxy.storage.database import StoreError

log = logging.getLogger("gateway_proxy.storage")
C = TypeVar("C")
T = TypeVar("T")
_Job = tuple[Callable[[C], Any], "asyncio.Future[Any] | None"]


class JobQueue(Generic[C]):
    """Jobs in order of submission, for one worker or several."""

    def __init__(self) -> None:
        self.pending: queue.SimpleQueue[_Job[C] | None] = queue.SimpleQueue()
        self._closed = False

    async def do(self, job: Callable[[C], T]) -> T:
        """Have a worker do the job; raises what the job raised, `StoreError` after `close`."""
        if self._closed:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.pending.put((job, future))
        return await future

    def submit(self, job: Callable[[C], object]) -> None:
        """The same without waiting; a failure is logged."""
        if not self._closed:
            self.pending.put((job, None))

    def close(self, workers: int) -> None:
        """Let that many workers end after what was submitted."""
        self._closed = True
        for _ in range(workers):
            self.pending.put(None)


class Worker(threading.Thread, Generic[C]):
    """One thread with its connection."""

    def __init__(self, jobs: JobQueue[C], connection: C, name: str, close: Callable[[C], object]) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs = jobs
        self._connection = connection
        self._close = close

    def run(self) -> None:
        while (item := self.jobs.pending.get()) is not None:
            job, future = item
            try:
                answer, failure = job(self._connection), None
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                answer, failure = None, error
            if future is not None:
                _answer(future, answer, failure)
            elif failure is not None:
                log.error("a job on the store failed: %s", failure)
            del item, job, future, answer, failure
        self._close(self._connection)


def _answer(future: "asyncio.Future[Any]", answer: object, failure: Exception | None) -> None:
    try:
        future.get_loop().call_soon_threadsafe(_settle, future, answer, failure)
    except RuntimeError:
        log.debug("the event loop closed before the store answered")


def _settle(future: "asyncio.Future[Any]", answer: object, failure: Exception | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(answer)
    else:
        future.set_exception(failure)
