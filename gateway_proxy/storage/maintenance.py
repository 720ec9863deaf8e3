"""What is thrown away in time, in bounded steps, so that no writer waits long. The ledger is never touched."""

from gateway_proxy.storage.database import Database


async def prune_request_log(db: Database, before_ms: int, limit: int = 1000) -> int:
    """Delete at most `limit` of the oldest requests from before `before_ms`; returns how many. Repeat while full."""
    return await db.execute(
        "DELETE FROM request_log WHERE request_id IN"
        " (SELECT request_id FROM request_log WHERE at < $1 ORDER BY at, seq LIMIT $2)",
        before_ms, limit,
    )  # fmt: skip


async def prune_events(db: Database, before_ms: int, limit: int = 1000) -> int:
    """Delete at most `limit` events that were handled and happened before `before_ms`; returns how many.

    An event keeps its occasion from firing again, so `before_ms` lies further back than any budget period.
    """
    return await db.execute(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE state <> 'pending' AND at < $1 LIMIT $2)",
        before_ms, limit,
    )  # fmt: skip


async def prune_secrets(db: Database, now_ms: int) -> int:
    """Delete the digests whose grace after a rotation is over; returns how many."""
    return await db.execute(
        "DELETE FROM key_secrets WHERE expires_at IS NOT NULL AND expires_at <= $1", now_ms
    )
