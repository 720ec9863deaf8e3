"""Takes events from the outbox to their endpoints: one background task, and one more for each endpoint with work.

Never on the request path. Each endpoint is sent to on its own, so one that is dead delays no other. An event that is not
taken is tried again by `RETRY_SECONDS`; each attempt has the same id, and a receiver may get an event twice (when a gateway
dies in the middle), but never not at all while the retries last.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.core.tasks import spawn, wait_for_event
from gateway_proxy.notify.endpoints import TEST_EVENT, Endpoint
from gateway_proxy.notify.occasions import Occasions, ProviderWatch
from gateway_proxy.notify.webhook import Outcome
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.deliveries import Due
from gateway_proxy.storage.store import Store

log = logging.getLogger("gateway_proxy.notify")

RETRY_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000)
TURN_SECONDS = 1.0
ACTS_SECONDS = 30.0
EXPIRY_SECONDS = 600.0
BATCH = 10


class Sender(Protocol):
    """One endpoint's way out. No `send` takes longer than `lease_seconds`."""

    lease_seconds: float

    async def send(self, events: list[EventRow]) -> list[Outcome]: ...

    async def close(self) -> None: ...


MakeSender = Callable[[Endpoint], Sender]


class Notifier:
    """See the module. `configure` before `run`, and again after a reload."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        gateway_id: str,
        organization: str | None,
        occasions: Occasions,
        providers: ProviderWatch,
        make_sender: MakeSender,
    ) -> None:
        self._store = store
        self._gateway_id = gateway_id
        self._clock = clock
        self._occasions = occasions
        self._providers = providers
        self._organization = organization
        self._make_sender = make_sender
        self._endpoints: dict[str, Endpoint] = {}
        self._working: dict[str, asyncio.Task[Any]] = {}
        self._news = asyncio.Event()
        self._acts_due_ns = self._expiries_due_ns = 0
        self._is_begun = self._is_published = False

    def configure(self, endpoints: Sequence[Endpoint]) -> None:
        """Send to these from now on."""
        self._endpoints = {endpoint.id: endpoint for endpoint in endpoints}
        self._is_published = False

    def wake(self) -> None:
        """There may be acts that nobody was told of."""
        self._acts_due_ns = 0
        self._news.set()

    async def run(self) -> None:
        """Runs until cancelled. While the store is away nothing is sent, and nothing is lost."""
        failing = False
        while True:
            self._news.clear()
            try:
                await self.turn()
                failing = False
            except StoreError as error:
                if not failing:
                    log.error("events wait: %s", error)
                failing = True
            await wait_for_event(self._news, TURN_SECONDS)

    async def turn(self) -> None:
        """Look for occasions, spread new events, and set to work what is due. Raises StoreError."""
        if not self._is_begun:  # what an earlier process of this gateway left in the middle
            await self._store.deliveries.release(self._gateway_id, self._clock.now_ms())
            self._is_begun = True
        if not self._is_published:
            self._is_published = True
            shown = [(e.id, e.kind, e.shown, e.events) for e in self._endpoints.values()]
            await self._store.deliveries.publish(self._organization or "*", shown)
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._acts_due_ns:
            self._acts_due_ns = now_ns + int(ACTS_SECONDS * 1e9)
            await self._occasions.announce_acts()
        if now_ns >= self._expiries_due_ns:
            self._expiries_due_ns = now_ns + int(EXPIRY_SECONDS * 1e9)
            await self._occasions.announce_expiries()
        await self._occasions.add(self._providers.look())
        while events := await self._store.outbox.pending(self._organization):
            await self._store.deliveries.spread(events, self._takers, self._clock.now_ms())
        for endpoint in list(self._endpoints.values()):
            work = self._working.get(endpoint.id)
            if work is not None and not work.done():
                continue
            due_at = await self._store.deliveries.next_due(endpoint.id)
            if due_at is not None and due_at <= self._clock.now_ms():
                self._working[endpoint.id] = spawn(self._empty(endpoint), f"notify {endpoint.id}")

    async def settle(self) -> None:
        """Wait until nothing is being sent."""
        await asyncio.gather(*self._working.values(), return_exceptions=True)

    async def close(self) -> None:
        """End what is being sent; it is sent again at the next start. Raises StoreError."""
        for work in self._working.values():
            work.cancel()
        await self.settle()
        await self._store.deliveries.release(self._gateway_id, self._clock.now_ms())

    def _takers(self, event: EventRow) -> list[tuple[str, str]]:
        return [(e.id, e.shown) for e in self._endpoints.values() if e.wants(event.type)]

    async def _empty(self, endpoint: Endpoint) -> None:
        """Send all that is due to one endpoint."""
        sender = self._make_sender(endpoint)
        try:
            while due := await self._store.deliveries.claim(
                endpoint.id, self._gateway_id, self._clock.now_ms(), int(sender.lease_seconds * 1000), BATCH
            ):
                outcomes = await sender.send([item.event for item in due])
                for item, outcome in zip(due, outcomes, strict=True):
                    await self._book(endpoint, item, outcome)
        except StoreError as error:
            log.error("how a delivery to %s went could not be written down: %s", endpoint.shown, error)
        finally:
            await sender.close()

    async def _book(self, endpoint: Endpoint, due: Due, outcome: Outcome) -> None:
        deliveries, event = self._store.deliveries, due.event
        if outcome.ok:
            await deliveries.succeed(event.id, endpoint.id, outcome.status)
            return
        if outcome.is_gone:
            log.error("%s answered 410 and is sent nothing more until it is enabled again", endpoint.shown)
            await deliveries.disable(endpoint.id, "answered 410", self._clock.now_ms())
        if outcome.is_gone or due.attempts > len(RETRY_SECONDS) or event.type == TEST_EVENT:
            log.error("event %s was not taken by %s: %s", event.id, endpoint.shown, outcome.error)
            await deliveries.fail(event.id, endpoint.id, outcome.status, outcome.error)
            return
        next_at = self._clock.now_ms() + RETRY_SECONDS[due.attempts - 1] * 1000
        await deliveries.retry(event.id, endpoint.id, next_at, outcome.status, outcome.error)
