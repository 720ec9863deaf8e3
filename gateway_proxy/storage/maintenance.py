"""What is thrown away in time, in bounded steps, so that no writer waits long. The ledger is never touched."""

from gateway_proxy.storage.database import Database
from gateway_proxy.storage.ledger_rows import MINUTE_MS

_OLD_TOKENS = "id IN (SELECT id FROM keys WHERE kind = 'ephemeral' AND expires_at < $1 ORDER BY expires_at, id LIMIT $2)"


async def prune_request_log(db: Database, before_ms: int, limit: int = 1000) -> int:
    """Delete at most `limit` of the oldest requests from before `before_ms`; returns how many. Repeat while full."""
    async with db.transaction() as tx:
        deleted = await tx.execute(
            "DELETE FROM request_log WHERE request_id IN"
            " (SELECT request_id FROM request_log WHERE at < $1 ORDER BY at, seq LIMIT $2)",
            before_ms, limit,
        )  # fmt: skip
        oldest = await tx.fetch_one("SELECT at FROM request_log ORDER BY at, seq LIMIT 1")
        first_minute = min(before_ms, oldest[0] if oldest else before_ms) // MINUTE_MS
        await tx.execute(
            "DELETE FROM request_log_minutes WHERE (field, value, minute) IN"
            " (SELECT field, value, minute FROM request_log_minutes WHERE minute < $1 ORDER BY minute LIMIT $2)",
            first_minute, limit * 7,
        )  # fmt: skip
    return deleted


async def prune_events(db: Database, before_ms: int, limit: int = 1000) -> int:
    """Delete at most `limit` events that were handled and happened before `before_ms`; returns how many.

    An event keeps its occasion from firing again. So `before_ms` lies further back than any month, and the events of
    budgets that never begin anew stay as long as their key.
    """
    async with db.transaction() as tx:
        await tx.execute(
            "DELETE FROM deliveries WHERE (event_id, endpoint) IN (SELECT event_id, endpoint FROM deliveries"
            " WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
            before_ms, limit,
        )  # fmt: skip
        return await tx.execute(
            "DELETE FROM outbox WHERE id IN (SELECT e.id FROM outbox e WHERE e.state <> 'pending' AND e.at < $1"
            " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id)"
            " AND (e.dedupe NOT LIKE '%:total:%' OR NOT EXISTS (SELECT 1 FROM keys k WHERE k.id = e.key_id)) LIMIT $2)",
            before_ms, limit,
        )  # fmt: skip


async def prune_secrets(db: Database, now_ms: int) -> int:
    """Delete the digests whose grace after a rotation is over; returns how many."""
    return await db.execute(
        "DELETE FROM key_secrets WHERE expires_at IS NOT NULL AND expires_at <= $1", now_ms
    )


async def prune_tokens(db: Database, before_ms: int, now_ms: int, limit: int = 500) -> int:
    """Take at most `limit` ephemeral tokens that expired before `before_ms` off the lists; returns how many. Their
    usage stays, and what makes it readable."""
    async with db.transaction() as tx:
        await tx.execute(
            "INSERT INTO deleted_keys (id, organization, name, owner, preview, deleted_at)"  # noqa: S608
            f" SELECT id, organization, name, owner, preview, CAST($3 AS BIGINT) FROM keys WHERE {_OLD_TOKENS}",
            before_ms, limit, now_ms,
        )  # fmt: skip
        return await tx.execute(f"DELETE FROM keys WHERE {_OLD_TOKENS}", before_ms, limit)  # noqa: S608


async def prune_signing_keys(db: Database, now_ms: int) -> None:
    """Delete the public halves of pairs that are no longer believed."""
    await db.execute("DELETE FROM signing_keys WHERE believed_until <= $1", now_ms)


async def clear_reserved(db: Database) -> None:
    """At a start nothing is reserved, whatever an earlier process left written."""
    await db.execute("UPDATE key_stats SET reserved_nanos = 0 WHERE reserved_nanos <> 0")
