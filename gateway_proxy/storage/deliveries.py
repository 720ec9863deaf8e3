"""Events on their way to their endpoints: who gets what, who is sending it now, and how it went.

A delivery is claimed with a lease, so that two gateways do not send it at once; when the sender dies it is due again at the
lease's end. It is delivered at least once. Which endpoints there are is the settings' business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage.changes import record_change
from gateway_proxy.storage.database import Database, Row, Statements
from gateway_proxy.storage.outbox import EVENT_FIELDS, add_events, finish_events, row_to_event
from gateway_proxy.storage.where import Where

_EVENT = ", ".join(f"e.{name}" for name in EVENT_FIELDS)
_DELIVERY = "d.event_id, d.endpoint, d.shown, d.state, d.attempts, d.next_at, d.created_at, d.attempted_at, d.status, d.error"
_ENDPOINT = ("organization", "id", "position", "kind", "shown", "events_json")
_COLUMNS = ("event_id", "endpoint", "shown", "state", "attempts", "next_at", "created_at", "error", "sender")


@dataclass(frozen=True, slots=True)
class Doer:
    """Who acts on an endpoint, for the change log."""

    clock: Clock
    organization: str
    actor: str
    ip: str

    async def record(self, tx: Statements, action: str, subject: str, **details: str) -> None:
        """Write down what they did, in the transaction that does it."""
        await record_change(
            tx, self.clock, action, organization=self.organization, actor=self.actor, ip=self.ip,
            details=orjson.dumps(details).decode(), subject=subject,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """An endpoint of the settings; `disabled` says why nothing is sent there, "" while something is."""

    id: str
    organization: str
    kind: str  # webhook | service
    shown: str
    events: tuple[str, ...]
    disabled: str


@dataclass(frozen=True, slots=True)
class Due:
    """An event that is to be sent; `attempts` includes the one that begins now."""

    event: EventRow
    attempts: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event fares on its way to one endpoint. `status` is the HTTP status of the last attempt."""

    event_id: str
    endpoint: str
    shown: str
    state: str  # pending | delivered | failed
    attempts: int
    next_at: int
    created_at: int
    attempted_at: int | None
    status: int | None
    error: str
    event: EventRow


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """`next_cursor` is None on the last page."""

    deliveries: list[Delivery]
    next_cursor: str | None


class Deliveries:
    """All deliveries of a store. Times are Unix milliseconds."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def publish(
        self, organization: str, endpoints: Sequence[tuple[str, str, str, Sequence[str]]]
    ) -> None:
        """The endpoints of the settings, (id, kind, shown, events) each, for those who look."""
        rows = [
            (organization, id_, position, kind, shown, orjson.dumps(events).decode())
            for position, (id_, kind, shown, events) in enumerate(endpoints)
        ]
        async with self._db.transaction() as tx:
            await tx.execute("DELETE FROM endpoints WHERE organization = $1", organization)
            await tx.insert_many("endpoints", _ENDPOINT, rows)

    async def list_endpoints(self, organization: str | None = None) -> list[KnownEndpoint]:
        """In the order of the settings; with an organization its own and those for all."""
        where = Where()
        if organization is not None:
            where.add(f"e.organization IN ({where.bind(organization)}, '*')")
        rows = await self._db.fetch(
            "SELECT e.id, e.organization, e.kind, e.shown, e.events_json, COALESCE(o.reason, '') FROM endpoints e"  # noqa: S608
            f" LEFT JOIN disabled_endpoints o ON o.endpoint = e.id{where} ORDER BY e.organization, e.position",
            *where.args,
        )
        return [
            KnownEndpoint(id_, owner, kind, shown, tuple(orjson.loads(events)), disabled)
            for id_, owner, kind, shown, events, disabled in rows
        ]

    async def spread(
        self, events: Sequence[EventRow], takers: Callable[[EventRow], Sequence[tuple[str, str]]], now_ms: int
    ) -> None:
        """Hand events of the outbox on to their endpoints, (id, shown) each, in one transaction."""
        off = await self.disabled()
        rows = [
            (event.id, endpoint, shown, "pending", 0, now_ms, now_ms, "", "")
            for event in events
            for endpoint, shown in takers(event)
            if endpoint not in off
        ]
        async with self._db.transaction() as tx:
            await tx.insert_many("deliveries", _COLUMNS, rows, "ON CONFLICT DO NOTHING")
            await finish_events(tx, [event.id for event in events])

    async def add_single(self, event: EventRow, endpoint: str, shown: str, now_ms: int, by: Doer) -> None:
        """An event for one endpoint only; the outbox hands it to nobody else."""
        async with self._db.transaction() as tx:
            await add_events(tx, [event], state="done")
            row = (event.id, endpoint, shown, "pending", 0, now_ms, now_ms, "", "")
            await tx.insert_many("deliveries", _COLUMNS, [row])
            await by.record(tx, "endpoint.tested", endpoint)

    async def next_due(self, endpoint: str) -> int | None:
        """When something is to be sent there; None when nothing waits, or the endpoint is disabled."""
        row = await self._db.fetch_one(
            "SELECT MIN(next_at) FROM deliveries WHERE state = 'pending' AND endpoint = $1"
            " AND NOT EXISTS (SELECT 1 FROM disabled_endpoints o WHERE o.endpoint = $1)",
            endpoint,
        )
        return row[0] if row else None

    async def claim(self, endpoint: str, sender: str, now_ms: int, lease_ms: int, limit: int) -> list[Due]:
        """Take what is due there for a gateway and `lease_ms`, counting the attempt; nothing while it is disabled."""
        async with self._db.transaction() as tx:
            claimed = await tx.fetch(
                "UPDATE deliveries SET next_at = $3, attempts = attempts + 1, attempted_at = $2, sender = $5"
                " WHERE state = 'pending' AND next_at <= $2 AND endpoint = $1 AND event_id IN"
                " (SELECT event_id FROM deliveries WHERE state = 'pending' AND endpoint = $1 AND next_at <= $2"
                " AND NOT EXISTS (SELECT 1 FROM disabled_endpoints o WHERE o.endpoint = $1)"
                " ORDER BY next_at, event_id LIMIT $4) RETURNING event_id, attempts",
                endpoint, now_ms, now_ms + lease_ms, limit, sender,
            )  # fmt: skip
            attempts: dict[str, int] = dict(claimed)
            if not attempts:
                return []
            where = Where()
            where.add(f"e.id IN ({', '.join(map(where.bind, attempts))})")
            rows = await tx.fetch(
                f"SELECT {_EVENT} FROM outbox e{where} ORDER BY e.at, e.id",  # noqa: S608
                *where.args,
            )
        return [Due(event, attempts[event.id]) for event in map(row_to_event, rows)]

    async def release(self, sender: str, now_ms: int) -> None:
        """What this gateway had claimed and will not finish is due again at once."""
        await self._db.execute(
            "UPDATE deliveries SET next_at = $2, sender = '' WHERE sender = $1 AND state = 'pending'",
            sender, now_ms,
        )  # fmt: skip

    async def succeed(self, event_id: str, endpoint: str, status: int | None) -> None:
        await self._end(event_id, endpoint, "delivered", 0, status, "")

    async def retry(self, event_id: str, endpoint: str, next_at: int, status: int | None, error: str) -> None:
        await self._end(event_id, endpoint, "pending", next_at, status, error)

    async def fail(self, event_id: str, endpoint: str, status: int | None, error: str) -> None:
        """Given up; `redeliver` begins anew."""
        await self._end(event_id, endpoint, "failed", 0, status, error)

    async def redeliver(self, event_id: str, endpoint: str, now_ms: int, by: Doer) -> bool:
        """Send it once more, under its old id; whether there is such a delivery."""
        async with self._db.transaction() as tx:
            known = await tx.execute(
                "UPDATE deliveries SET state = 'pending', attempts = 0, next_at = $3, error = '', sender = ''"
                " WHERE event_id = $1 AND endpoint = $2",
                event_id, endpoint, now_ms,
            )  # fmt: skip
            if known:
                await by.record(tx, "delivery.repeated", endpoint, event=event_id)
        return known > 0

    async def disable(self, endpoint: str, reason: str, now_ms: int) -> None:
        """Send nothing there until `enable`; what waits goes on waiting."""
        await self._db.execute(
            "INSERT INTO disabled_endpoints (endpoint, reason, at) VALUES ($1, $2, $3)"
            " ON CONFLICT (endpoint) DO UPDATE SET reason = excluded.reason, at = excluded.at",
            endpoint, reason, now_ms,
        )  # fmt: skip

    async def enable(self, endpoint: str, by: Doer) -> bool:
        """Whether it was disabled."""
        async with self._db.transaction() as tx:
            known = await tx.execute("DELETE FROM disabled_endpoints WHERE endpoint = $1", endpoint) > 0
            if known:
                await by.record(tx, "endpoint.enabled", endpoint)
        return known

    async def disabled(self) -> dict[str, str]:
        """Disabled endpoints and why they are."""
        return dict(await self._db.fetch("SELECT endpoint, reason FROM disabled_endpoints"))

    async def find(self, event_id: str, endpoint: str, organization: str | None = None) -> Delivery | None:
        """One delivery, of any organization without one."""
        where = Where()
        where.equal("d.event_id", event_id)
        where.equal("d.endpoint", endpoint)
        found = await self._select(where, organization, 1)
        return found[0] if found else None

    async def search(
        self,
        *,
        organization: str | None = None,
        endpoint: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeliveryPage:
        """Newest first. Raises ValueError for a cursor that is not ours."""
        where = Where()
        where.equal("d.endpoint", endpoint)
        where.equal("d.state", state)
        if cursor is not None:
            created_at, event_id, last = _read_cursor(cursor)
            where.add(
                "(d.created_at, d.event_id, d.endpoint) <"
                f" ({where.bind(created_at)}, {where.bind(event_id)}, {where.bind(last)})"
            )
        found = await self._select(where, organization, limit + 1)
        if len(found) <= limit:
            return DeliveryPage(found, None)
        last_one = found[limit - 1]
        next_cursor = f"{last_one.created_at}.{last_one.event_id}.{last_one.endpoint}"
        return DeliveryPage(found[:limit], next_cursor)

    async def _select(self, where: Where, organization: str | None, limit: int) -> list[Delivery]:
        if organization is not None:
            # '*' are events of a gateway that serves all organizations, such as those of its providers.
            where.add(f"e.organization IN ({where.bind(organization)}, '*')")
        rows = await self._db.fetch(
            f"SELECT {_DELIVERY}, {_EVENT} FROM deliveries d JOIN outbox e ON e.id = d.event_id{where}"  # noqa: S608
            f" ORDER BY d.created_at DESC, d.event_id DESC, d.endpoint DESC LIMIT {where.bind(limit)}",
            *where.args,
        )
        return [_delivery(row) for row in rows]

    async def _end(
        self, event_id: str, endpoint: str, state: str, next_at: int, status: int | None, error: str
    ) -> None:
        await self._db.execute(
            "UPDATE deliveries SET state = $3, next_at = $4, status = $5, error = $6, sender = ''"
            " WHERE event_id = $1 AND endpoint = $2",
            event_id, endpoint, state, next_at, status, error,
        )  # fmt: skip


def _delivery(row: Row) -> Delivery:
    return Delivery(*(*row[:10], row_to_event(row[10:])))


def _read_cursor(text: str) -> tuple[int, str, str]:
    parts = text.split(".")
    if len(parts) != 3 or not parts[0].isdecimal() or not text.isascii() or len(parts[0]) > 18:
        raise ValueError("is not a cursor of this list; take it from next_cursor")
    return int(parts[0]), parts[1], parts[2]
