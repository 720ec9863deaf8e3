"""Ids that providers made, and whose they are."""

from collections.abc import Sequence

from gateway_proxy.core.kept import MadeId
from gateway_proxy.storage.database import Database
from gateway_proxy.storage.where import list_marks


class MadeIdRows:
    """Times are Unix milliseconds."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, made: Sequence[MadeId]) -> int:
        """Write new ids; one that is there already stays with whoever had it first. Returns how many were new."""
        return await self._db.insert_many("made_ids", MadeId._fields, made, "ON CONFLICT (id) DO NOTHING")

    async def find(self, ids: Sequence[str], since_ms: int) -> list[MadeId]:
        """Those of `ids` that were made at `since_ms` or later."""
        if not ids:
            return []
        marks = list_marks(len(ids), first=2)
        rows = await self._db.fetch(
            "SELECT id, owner_id, provider, origin, model, target_model, made_at FROM made_ids"  # noqa: S608
            f" WHERE made_at >= $1 AND id IN ({marks})",
            since_ms, *ids,
        )  # fmt: skip
        return [MadeId(*row) for row in rows]

    async def prune(self, before_ms: int, limit: int = 1000) -> int:
        """Delete at most `limit` of the oldest from before `before_ms`; returns how many. Repeat while full."""
        return await self._db.execute(
            "DELETE FROM made_ids WHERE id IN"
            " (SELECT id FROM made_ids WHERE made_at < $1 ORDER BY made_at LIMIT $2)",
            before_ms, limit,
        )  # fmt: skip
