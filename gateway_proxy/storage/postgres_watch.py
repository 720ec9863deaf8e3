"""The one connection on which a gateway hears of changes, and notices that it is cut off from the server.

A notification wakes it at once; twice a second it asks all the same, since a notification may be lost with its
connection. A server that does not answer (the machine is off, a firewall forgot the connection) is left after
`ASK_SECONDS`: TCP alone would wait for minutes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from gateway_proxy.core.reaching import reach
from gateway_proxy.core.tasks import end, spawn, wait_for_event

ASK_AGAIN_SECONDS = 0.5
ASK_SECONDS = 2.0
ATTEMPT_SECONDS = 2.0
CHANNEL = "gateway_proxy_changes"
Connection = Any  # asyncpg brings no types


class Watch:
    """`connect` opens a connection; `faults` are what it and its connections raise; `on_lost` is called when the
    server is found to be away. Every connection of then may be dead, and say nothing."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        on_lost: Callable[[], None],
        faults: tuple[type[BaseException], ...],
    ) -> None:
        self._connect = connect
        self._on_lost = on_lost
        self._faults = faults
        self._sql = ""
        self._task: asyncio.Task[None] | None = None
        self._announced = asyncio.Event()
        self._decided = asyncio.Event()  # whether the server answers is known
        self._heard_at = time.monotonic()
        self.news = asyncio.Event()  # `row` was read anew, or `error` has changed
        self.row: Any = None
        self.error: BaseException | None = None

    async def begin(self, sql: str) -> None:
        """Ask this again and again from now on; returns with the first answer or error."""
        if self._task is None:
            self._sql = sql
            self._task = spawn(self._run(), "watch the store", owned=True)
        await self._decided.wait()

    def silence_seconds(self) -> float:
        """How old the newest answer is; of what was asked, not of its arrival."""
        return time.monotonic() - self._heard_at

    async def close(self) -> None:
        """Let go of the connection."""
        if self._task is not None:
            await end([self._task])

    async def _run(self) -> None:
        while True:
            connection = await self._reach()
            try:
                await self._ask(connection)
            except self._faults as error:
                self._fail(error)
            finally:
                connection.terminate()

    async def _ask(self, connection: Connection) -> None:
        """Until it fails."""
        while True:
            # Before the query: what is committed in between is seen now and asked for once more, never missed.
            self._announced.clear()
            asked_at = time.monotonic()
            async with asyncio.timeout(ASK_SECONDS):
                self.row = await connection.fetchrow(self._sql)
            self._heard_at = asked_at
            self.error = None
            self._decided.set()
            self.news.set()
            await wait_for_event(self._announced, ASK_AGAIN_SECONDS)

    async def _reach(self) -> Connection:
        """A connection that listens, however long that takes."""
        return await reach(self._attempt, lambda connection: connection.terminate(), "reach the store")

    async def _attempt(self) -> Connection | None:
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                connection = await self._connect()
                try:
                    await connection.add_listener(CHANNEL, self._hear)
                except BaseException:
                    connection.terminate()
                    raise
                return connection
        except self._faults as error:
            self._fail(error)
            return None

    def _fail(self, error: BaseException) -> None:
        found, self.error = self.error is None, error
        if found:
            self._on_lost()
        self._decided.set()
        self.news.set()

    def _hear(self, *_: object) -> None:
        self._announced.set()
