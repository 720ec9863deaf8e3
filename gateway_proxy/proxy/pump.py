"""Copies a streaming answer: upstream socket → tap → client socket, inside the socket's own callback.

Memory per stream is bounded: while the client reads slower than the upstream writes, the upstream is not read.
"""

import asyncio
import time

from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.tasks import spawn
from gateway_proxy.proxy.answers import StreamAnswer
from gateway_proxy.proxy.run import Run
from gateway_proxy.proxy.upstream import UpstreamError, UpstreamResponse


class Pump:
    """One copy from its first chunk to its end."""

    __slots__ = ("_answer", "_ended", "_loop", "_response", "_resuming", "_run", "_tap")

    def __init__(self, run: Run, response: UpstreamResponse, tap: UsageTap, answer: StreamAnswer) -> None:
        self._run = run
        self._response = response
        self._tap = tap
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[UpstreamError | None] = self._loop.create_future()
        self._resuming = False

    async def copy(self) -> UpstreamError | None:
        """Returns at the end of the answer: None if it was complete, else what broke it."""
        self._response.stream_to(self._receive, self._end)
        return await self._ended

    def _receive(self, chunk: bytes) -> None:
        try:
            out = self._tap.feed(chunk)
            run = self._run
            if run.gone_at:
                return
            if out:
                exchange = run.exchange
                if not exchange.first_byte_ns:
                    exchange.first_byte_ns = time.monotonic_ns()
                run.last_write_at = self._loop.time()
                self._answer.send(out)
                if self._answer.is_paused and not self._resuming:
                    self._resuming = True
                    self._response.pause_reading()
                    spawn(self._resume(), "resume upstream")
        except Exception as error:  # noqa: BLE001 - it reaches whoever awaits `copy`
            if not self._ended.done():
                self._ended.set_exception(error)

    def _end(self, error: UpstreamError | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)

    async def _resume(self) -> None:
        try:
            await self._answer.wait_until_writable()
        except ConnectionError:
            pass  # the client left: the sweeper decides whether the rest is drained or cancelled
        self._resuming = False
        self._response.resume_reading()
