"""Finds what is worth an event besides budgets: acts on keys, keys about to expire, providers that fail and recover."""

from collections.abc import Callable, Iterable

import orjson

from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage.changes import ChangeRow
from gateway_proxy.storage.occasions import DAY_MS, KeyFacts, announce_changes, list_expiring
from gateway_proxy.storage.store import Store

EXPIRY_DAYS = (7, 1)
# A provider that recovers or fails again within this time is not worth two messages.
DEBOUNCE_SECONDS = 15.0


def describe_change(change: ChangeRow, key: KeyFacts) -> EventRow:
    """An act on a key as an event: what it is called, who did it, and which members changed, never their values."""
    return EventRow(
        id=new_id("evt"), type=change.action, at=change.at, organization=change.organization,
        key_id=change.key_id, dedupe=f"change:{change.seq}",
        data={
            "key_id": key.id,
            "key_name": key.name,
            "owner": key.owner,
            "preview": key.preview,
            "organization": change.organization,
            "actor": change.actor,
            "changed": _changed(change.details_json),
        },
    )  # fmt: skip


def _changed(details_json: str) -> list[str]:
    try:
        details = orjson.loads(details_json)
    except orjson.JSONDecodeError:
        return []
    changes = details.get("changes") if isinstance(details, dict) else None
    return sorted(changes) if isinstance(changes, dict) else []


class Occasions:
    """Of one organization, None for all. Every method raises StoreError."""

    def __init__(self, store: Store, clock: Clock, organization: str | None) -> None:
        self._store = store
        self._clock = clock
        self._organization = organization

    async def announce_acts(self) -> None:
        """An event for each act on a key that has none yet."""
        while await announce_changes(self._store.db, self._organization, describe_change):
            pass

    async def announce_expiries(self) -> None:
        """An event for each key that expires within 7 days, and again within 1; once each per expiry."""
        now_ms = self._clock.now_ms()
        nearer_ms = now_ms
        for days in sorted(EXPIRY_DAYS):
            until_ms = now_ms + days * DAY_MS
            while keys := await list_expiring(self._store.db, self._organization, days, nearer_ms, until_ms):
                events = [
                    EventRow(
                        id=new_id("evt"), type="key.expiring", at=now_ms, organization=key.organization,
                        key_id=key.id, dedupe=f"key.expiring:{key.id}:{key.expires_at}:{days}",
                        data={
                            "key_id": key.id,
                            "key_name": key.name,
                            "owner": key.owner,
                            "preview": key.preview,
                            "organization": key.organization,
                            "days": days,
                            "expires_at": format_time(key.expires_at),
                        },
                    )
                    for key in keys
                ]  # fmt: skip
                if not await self._store.outbox.add(events):
                    break
            nearer_ms = until_ms

    async def add(self, events: list[EventRow]) -> None:
        """Put events into the outbox."""
        if events:
            await self._store.outbox.add(events)


class ProviderWatch:
    """Turns circuits that open and close into `provider.down` and `provider.up`, debounced. Forgets with the process."""

    def __init__(
        self,
        tripped: Callable[[], Iterable[tuple[str, str]]],
        clock: Clock,
        gateway_id: str,
        organization: str,
    ) -> None:
        self._tripped = tripped
        self._clock = clock
        self._gateway_id = gateway_id
        self._organization = organization
        self._down: set[str] = set()  # as announced
        self._since_ns: dict[str, int] = {}  # when the state became another than the announced one

    def look(self) -> list[EventRow]:
        """The events that are due now; call it every few seconds."""
        now_ns = self._clock.monotonic_ns()
        models: dict[str, list[str]] = {}
        for provider, model in self._tripped():
            models.setdefault(provider, []).append(model)
        events = []
        for provider in {*models, *self._down, *self._since_ns}:
            is_down = provider in models
            if is_down == (provider in self._down):
                self._since_ns.pop(provider, None)
                continue
            since_ns = self._since_ns.setdefault(provider, now_ns)
            if now_ns - since_ns < DEBOUNCE_SECONDS * 1e9:
                continue
            del self._since_ns[provider]
            (self._down.add if is_down else self._down.discard)(provider)
            events.append(self._describe(provider, sorted(models.get(provider, ())), is_down))
        return events

    def _describe(self, provider: str, models: list[str], is_down: bool) -> EventRow:
        id_ = new_id("evt")
        data: dict[str, object] = {"provider": provider, "gateway": self._gateway_id}
        if is_down:
            data["models"] = models[:20]
        return EventRow(
            id=id_, type="provider.down" if is_down else "provider.up", at=self._clock.now_ms(),
            organization=self._organization, key_id="", dedupe=id_, data=data,
        )  # fmt: skip
