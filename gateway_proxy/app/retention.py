"""What the store need not keep for ever: deleted in small batches, so that nobody waits for it long."""

import asyncio

from gateway_proxy.storage import Store
from gateway_proxy.storage.maintenance import (
    prune_events,
    prune_request_log,
    prune_secrets,
    prune_signing_keys,
    prune_tokens,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EVENT_DAYS = 62  # an event keeps its occasion from firing again: longer than any month
FINE_TIMELINE_MS = 3 * DAY_MS
BATCH_PAUSE_SECONDS = 0.05


async def delete_old(store: Store, now_ms: int, log_days: int) -> None:
    """Log rows after `log_days`, tokens a day after they expired, secrets after their grace. Raises StoreError."""
    db = store.db
    before = now_ms - log_days * DAY_MS
    events_before = min(before, now_ms - EVENT_DAYS * DAY_MS)
    while (
        await prune_request_log(db, before)
        or await prune_events(db, events_before)
        or await prune_tokens(db, now_ms - DAY_MS, now_ms)
        or await store.mcp_log.prune(before)
        or await store.bodies.prune(before)
    ):
        await asyncio.sleep(BATCH_PAUSE_SECONDS)
    await prune_secrets(db, now_ms)
    await prune_signing_keys(db, now_ms)
    await store.timeline.fold(now_ms - FINE_TIMELINE_MS)
    while await store.usage_sums.carry(now_ms // HOUR_MS):
        await asyncio.sleep(BATCH_PAUSE_SECONDS)
