"""Events on their way out. They come in with the batch that caused them; each is handed on at least once."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage.database import Database, Statements
from gateway_proxy.storage.ledger_rows import EVENT_COLUMNS, event_tuple


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event that is due; `attempts` were made in vain."""

    event: EventRow
    attempts: int


class Outbox:
    """The queue of events, in the order in which they are due."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, events: Sequence[EventRow]) -> int:
        """Put events in; returns how many are new by their `dedupe`."""
        async with self._db.transaction() as tx:
            return await add_events(tx, events)

    async def due(self, now_ms: int, limit: int = 100) -> list[PendingEvent]:
        rows = await self._db.fetch(
            "SELECT id, type, at, organization, key_id, dedupe, data_json, attempts FROM outbox"
            " WHERE state = 'pending' AND next_at <= $1 ORDER BY next_at, id LIMIT $2",
            now_ms, limit,
        )  # fmt: skip
        return [
            PendingEvent(
                EventRow(
                    id=id_, type=type_, at=at, organization=organization, key_id=key_id, dedupe=dedupe,
                    data=orjson.loads(data),
                ),
                attempts,
            )
            for id_, type_, at, organization, key_id, dedupe, data, attempts in rows
        ]  # fmt: skip

    async def finish(self, event_id: str) -> None:
        """It was handed on."""
        await self._set(event_id, "done", 0)

    async def retry(self, event_id: str, next_at: int) -> None:
        """It was not; try again at `next_at`."""
        await self._set(event_id, "pending", next_at)

    async def give_up(self, event_id: str) -> None:
        """It never will be; it stays in the table as `failed`."""
        await self._set(event_id, "failed", 0)

    async def _set(self, event_id: str, state: str, next_at: int) -> None:
        await self._db.execute(
            "UPDATE outbox SET state = $2, next_at = $3, attempts = attempts + 1 WHERE id = $1",
            event_id, state, next_at,
        )  # fmt: skip


async def add_events(tx: Statements, events: Sequence[EventRow]) -> int:
    """Put events in within a transaction; returns how many are new by their `dedupe`."""
    return await tx.insert_many("outbox", EVENT_COLUMNS, map(event_tuple, events), "ON CONFLICT DO NOTHING")
