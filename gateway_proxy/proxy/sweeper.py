"""One timer for all running exchanges, instead of several per exchange.

It notices clients that left, sends the head of a stream whose upstream stays silent, writes keep-alive comments,
and ends what has outlived its drain or whose client has stopped reading.
"""

import asyncio
import logging

from gateway_proxy.proxy.answers import STALL_SECONDS
from gateway_proxy.proxy.run import Cut, Run

log = logging.getLogger("gateway_proxy.sweeper")

SWEEP_SECONDS = 0.04
EARLY_HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15.0
DRAIN_SECONDS = 30.0
KEEP_ALIVE_COMMENT = b": keep-alive\n\n"


class Sweeper:
    """Holds the running exchanges. The timer runs only while there are any."""

    def __init__(self) -> None:
        self.runs: set[Run] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, run: Run) -> None:
        self.runs.add(run)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def remove(self, run: Run) -> None:
        self.runs.discard(run)

    def end_key(self, key_ids: frozenset[str]) -> None:
        """End every running exchange of these keys: they were revoked or deleted."""
        for run in tuple(self.runs):
            policy = run.exchange.policy
            if policy is not None and (policy.key.id in key_ids or policy.key.parent_id in key_ids):
                run.end(Cut.REVOKED)

    def end_all(self) -> None:
        for run in tuple(self.runs):
            run.end(Cut.SHUTDOWN)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for run in tuple(self.runs):
            try:
                look_after(run, now)
            except Exception:  # the others must be looked after still
                log.exception("a fault while looking after %s", run.exchange.id)
                run.end(Cut.SHUTDOWN)
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep) if self.runs else None


def look_after(run: Run, now: float) -> None:
    """What is due for one exchange at loop time `now`."""
    if run.gone_at:
        if now - run.gone_at > DRAIN_SECONDS:
            run.end(Cut.CLIENT_GONE)
        return
    if run.is_client_gone:
        run.gone_at = now
        if not run.drains:
            run.end(Cut.CLIENT_GONE)
        return
    answer = run.answer
    if answer is None:
        early = run.early_head
        if early is not None and now - run.started_at > EARLY_HEAD_SECONDS:
            run.answer, run.early_head = early, None
            early.start_now(run.request)
            run.last_write_at = now
        return
    if answer.is_started and answer.is_paused:
        run.paused_since = run.paused_since or now
        if now - run.paused_since > STALL_SECONDS:
            answer.abort()
        return
    run.paused_since = 0.0
    if (
        run.streaming
        and now - run.last_write_at > KEEP_ALIVE_SECONDS
        and (run.tap is None or run.tap.at_event_boundary())
    ):
        answer.send(KEEP_ALIVE_COMMENT)
        run.last_write_at = now
