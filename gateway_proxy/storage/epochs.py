"""Which counters on the shared server are believed, and which gateways have handed their leases over into them."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.database import Database, Row, Statements

_NEWEST = "SELECT id, number, run_id, state FROM shared_epochs ORDER BY number DESC LIMIT 1"
_KEPT = 20
# Of gateways that are gone for good nothing is waited for: cleanly stopped, forgotten (no record), or revoked.
_WAITED_FOR = (
    "SELECT p.part FROM shared_parts p JOIN gateways g ON g.id = p.gateway_id"
    " WHERE p.epoch <> $1 AND g.revoked_at IS NULL ORDER BY p.part"
)


@dataclass(frozen=True, slots=True)
class Epoch:
    """`run_id` is the name of the server process that holds its counters; `is_ready` once every gateway is in it."""

    id: str
    number: int
    run_id: str
    is_ready: bool


class Epochs:
    """All times in Unix milliseconds. Every method raises `StoreError`."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self._db = db
        self._clock = clock or Clock()

    async def newest(self) -> Epoch | None:
        """The epoch in force; None before the first."""
        row = await self._db.fetch_one(_NEWEST)
        return None if row is None else _epoch(row)

    async def renew(self, lost: str, run_id: str, begin: Callable[[str], Awaitable[None]]) -> Epoch:
        """A new epoch in the place of `lost` ("": of none); the newest, if somebody has made one already.

        `begin` makes it known to the server, before anybody can learn of it from the store.
        """
        async with self._db.transaction() as tx:
            row = await tx.fetch_one(_NEWEST)
            if row is not None and row[0] != lost:
                return _epoch(row)
            epoch = Epoch(secrets.token_hex(8), 1 if row is None else row[1] + 1, run_id, False)
            await begin(epoch.id)
            await tx.execute(
                "INSERT INTO shared_epochs (id, number, run_id, state, created_at) VALUES ($1, $2, $3, 'gathering', $4)",
                epoch.id, epoch.number, run_id, self._clock.now_ms(),
            )  # fmt: skip
            await tx.execute("DELETE FROM shared_epochs WHERE number <= $1", epoch.number - _KEPT)
            return epoch

    async def join(self, part: str, gateway_id: str, place: int, places: int) -> None:
        """A process begins, without leases. Those before it in this place are over, and their books are written; the first
        one has also written the books of places that there are no more."""
        async with self._db.transaction() as tx:
            await tx.execute(
                "DELETE FROM shared_parts WHERE gateway_id = $1 AND (place = $2 OR ($2 = 0 AND place >= $3))",
                gateway_id, place, places,
            )  # fmt: skip
            await self._write(tx, part, gateway_id, place, "")

    async def abandon(self) -> None:
        """Nobody shares counters any more; those that are on a server are not believed again."""
        async with self._db.transaction() as tx:
            await tx.execute("DELETE FROM shared_epochs")
            await tx.execute("DELETE FROM shared_parts")

    async def hand_over(self, part: str, gateway_id: str, place: int, epoch: str) -> list[str]:
        """This part is in the epoch; returns the parts that are still waited for. Without any it becomes ready."""
        async with self._db.transaction() as tx:
            await self._write(tx, part, gateway_id, place, epoch)
            missing = [str(row[0]) for row in await tx.fetch(_WAITED_FOR, epoch)]
            if not missing:
                await tx.execute("UPDATE shared_epochs SET state = 'ready' WHERE id = $1", epoch)
            return missing

    async def leave(self, part: str) -> None:
        """A process ends, and holds nothing any more."""
        await self._db.execute("DELETE FROM shared_parts WHERE part = $1", part)

    async def sharing(self) -> set[str]:
        """The gateways that take part, alive or not."""
        return {str(row[0]) for row in await self._db.fetch("SELECT gateway_id FROM shared_parts")}

    async def holding(self) -> set[str]:
        """Those of them that may judge budgets by shared counters even now, cut off or not."""
        return {str(row[0]).partition("/")[0] for row in await self._db.fetch(_WAITED_FOR, "-")}

    async def known_gateways(self) -> set[str]:
        """Those whose leases count though they may be away: their books will come, or they will be forgotten."""
        return {str(row[0]) for row in await self._db.fetch("SELECT id FROM gateways")}

    async def _write(self, tx: Statements, part: str, gateway_id: str, place: int, epoch: str) -> None:
        await tx.execute(
            "INSERT INTO shared_parts (part, gateway_id, place, epoch, joined_at) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (part) DO UPDATE SET epoch = excluded.epoch",
            part, gateway_id, place, epoch, self._clock.now_ms(),
        )  # fmt: skip


def _epoch(row: Row) -> Epoch:
    return Epoch(row[0], row[1], row[2], row[3] == "ready")
