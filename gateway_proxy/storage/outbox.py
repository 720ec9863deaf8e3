"""Events that wait to be handed on. They come in with the batch that caused them, each occasion once."""

from collections.abc import Sequence

import orjson

from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage.database import Database, Row, Statements
from gateway_proxy.storage.ledger_rows import EVENT_COLUMNS, event_tuple
from gateway_proxy.storage.where import list_marks

# As `row_to_event` reads them.
EVENT_FIELDS = ("id", "type", "at", "organization", "key_id", "dedupe", "data_json")


class Outbox:
    """The queue of events; from here `deliveries` takes them to their endpoints."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, events: Sequence[EventRow]) -> int:
        """Put events in; returns how many are new by their `dedupe`."""
        async with self._db.transaction() as tx:
            return await add_events(tx, events)

    async def pending(self, organization: str | None = None, limit: int = 100) -> list[EventRow]:
        """The oldest events that are not handed on; with an organization its own and those of none."""
        where, args = ("", []) if organization is None else (" AND organization IN ($2, '')", [organization])
        rows = await self._db.fetch(
            f"SELECT {', '.join(EVENT_FIELDS)} FROM outbox WHERE state = 'pending'{where}"  # noqa: S608
            " ORDER BY next_at, id LIMIT $1",
            limit, *args,
        )  # fmt: skip
        return [row_to_event(row) for row in rows]


async def add_events(tx: Statements, events: Sequence[EventRow], state: str = "pending") -> int:
    """Put events in within a transaction; returns how many are new by their `dedupe`."""
    rows = (event_tuple(event) for event in events)
    if state != "pending":
        place = EVENT_COLUMNS.index("state")
        rows = ((*row[:place], state, *row[place + 1 :]) for row in rows)
    return await tx.insert_many("outbox", EVENT_COLUMNS, rows, "ON CONFLICT DO NOTHING")


async def finish_events(tx: Statements, event_ids: Sequence[str]) -> None:
    """These were handed on."""
    marks = list_marks(len(event_ids))
    await tx.execute(f"UPDATE outbox SET state = 'done' WHERE id IN ({marks})", *event_ids)  # noqa: S608


def row_to_event(row: Row) -> EventRow:
    """The event of a row that begins with `EVENT_FIELDS`."""
    id_, type_, at, organization, key_id, dedupe, data = row[: len(EVENT_FIELDS)]
    return EventRow(
        id=id_, type=type_, at=at, organization=organization, key_id=key_id, dedupe=dedupe,
        data=orjson.loads(data),
    )  # fmt: skip
