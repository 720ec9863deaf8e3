"""Loads budgets that the shared counters do not hold: the ledger's sum, exact while others go on settling.

A lease stands on the server until its row is in the ledger. While nobody can write to the ledger (the store's one
turn), the server begins to count: what its leases hold, and everything from then on; and tells their names. The sum of
all other rows is what is missing. Budgets that are missed at the same moment are loaded together.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from gateway_proxy.core.store import Spending
from gateway_proxy.core.tasks import spawn
from gateway_proxy.limits.periods import FAR_MS, Window
from gateway_proxy.shared.link import Refused
from gateway_proxy.shared.names import span_of, split_lease
from gateway_proxy.shared.resp import Disconnected, TooSlow
from gateway_proxy.shared.scripts import INSTALL, LOAD
from gateway_proxy.shared.server import Lost, Server

log = logging.getLogger("gateway_proxy.shared")

MOST_AT_ONCE = 200
ANSWER_SECONDS = 0.25  # meanwhile nobody writes to the ledger
_LOADED = 2  # by somebody else, meanwhile


class Wanted(NamedTuple):
    """A budget of one period."""

    root: str
    key_id: str
    window: Window


class SpendStore(Protocol):
    """The ledger's sums."""

    async def sum_spending(
        self,
        plan: Callable[[], Awaitable[Sequence[Spending]]],
        take: Callable[[list[int]], Awaitable[None]],
        /,
    ) -> None:
        """`take` gets the charged nano-USD of each that `plan` names; both while nobody can add to the ledger.

        Raises StoreError, and what these two raise.
        """
        ...


class Loader:
    """`load` may be called by many at once."""

    def __init__(self, server: Server, store: SpendStore) -> None:
        self._server = server
        self._store = store
        self._due: dict[Wanted, asyncio.Future[bool]] = {}
        self._task: asyncio.Task[None] | None = None
        self.is_held = False  # the ledger may lack what is still in a spool here
        self.loads = 0

    def load(self, wanted: Wanted) -> "asyncio.Future[bool]":
        """Whether it was loaded. Cancelling the future is no harm; shield it all the same, others wait for it too."""
        future = self._due.get(wanted)
        if future is None and self.is_held:
            future = asyncio.get_running_loop().create_future()
            future.set_result(False)
        elif future is None:
            future = self._due[wanted] = asyncio.get_running_loop().create_future()
            if self._task is None or self._task.done():
                self._task = spawn(self._run(), "load shared budgets")
        return future

    async def _run(self) -> None:
        while self._due:
            batch = list(self._due)[:MOST_AT_ONCE]
            done = False
            try:
                await self._load(batch)
                done = True
            except (Disconnected, TooSlow, Refused, Lost):
                pass  # told by whoever keeps the connection
            except Exception as error:  # noqa: BLE001 - any fault of the store: the budgets stay unknown
                log.error("%d budgets could not be loaded: %s", len(batch), error)
            for wanted in batch:
                future = self._due.pop(wanted)
                if not future.done():
                    future.set_result(done)

    async def _load(self, batch: list[Wanted]) -> None:
        server, token = self._server, secrets.token_hex(8)
        names = server.names
        if names is None:
            raise Disconnected
        missing: list[Wanted] = []

        async def plan() -> list[Spending]:
            asked = [
                server.ask(
                    ANSWER_SECONDS, None, LOAD, (names.entries(root), names.budget(root, key_id)),
                    key_id, window.label, span_of(window), token,
                )
                for root, key_id, window in batch
            ]  # fmt: skip
            spending = []
            for wanted, reply in zip(batch, await _gather(asked), strict=True):
                if reply[0] != _LOADED:
                    missing.append(wanted)
                    window = wanted.window
                    end_ms = FAR_MS if window.end_ms is None else window.end_ms
                    spending.append(
                        Spending(wanted.key_id, window.start_ms, end_ms, _list_attempts(reply[3:]))
                    )
            return spending

        async def take(sums: list[int]) -> None:
            await _gather(
                [
                    server.ask(
                        ANSWER_SECONDS,
                        None,
                        INSTALL,
                        (names.budget(root, key_id),),
                        window.label,
                        token,
                        nanos,
                    )
                    for (root, key_id, window), nanos in zip(missing, sums, strict=True)
                ]
            )

        await self._store.sum_spending(plan, take)
        self.loads += len(missing)


def _list_attempts(leases: Sequence[object]) -> list[tuple[str, int]]:
    """The rows that leases will have."""
    found = (split_lease(name.decode()) for name in leases if isinstance(name, bytes))
    return [(lease[1], lease[2]) for lease in found if lease is not None]


async def _gather(calls: Sequence[Awaitable[list[object]]]) -> list[list[object]]:
    """All of them, also when one fails: none is left with an exception that nobody saw."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, list)]
