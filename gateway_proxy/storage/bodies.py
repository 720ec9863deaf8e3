"""Bodies of requests and answers, beside the request log: appended, found by the request's id, pruned."""

from collections.abc import Sequence

from gateway_proxy.core.ledger import BodyRow
from gateway_proxy.storage.database import Database

_COLUMNS = ", ".join(BodyRow._fields)


class Bodies:
    """The table. Lists of requests never touch it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, rows: Sequence[BodyRow]) -> None:
        """A row that is there already stays as it is."""
        await self._db.insert_many(
            "request_bodies", BodyRow._fields, rows, "ON CONFLICT (request_id) DO NOTHING"
        )

    async def find(self, request_id: str) -> BodyRow | None:
        row = await self._db.fetch_one(
            f"SELECT {_COLUMNS} FROM request_bodies WHERE request_id = $1",  # noqa: S608
            request_id,
        )
        return None if row is None else BodyRow(*row)

    async def prune(self, before_ms: int, limit: int = 200) -> int:
        """Delete at most `limit` of the oldest from before `before_ms`; returns how many. Repeat while full."""
        return await self._db.execute(
            "DELETE FROM request_bodies WHERE request_id IN"
            " (SELECT request_id FROM request_bodies WHERE at < $1 ORDER BY at, request_id LIMIT $2)",
            before_ms, limit,
        )  # fmt: skip
