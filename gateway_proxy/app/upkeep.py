"""What a gateway does now and then for its own good: forgets what is over, deletes old rows, takes new prices."""

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway_proxy.app.retention import delete_old
from gateway_proxy.storage.database import StoreError

if TYPE_CHECKING:
    from gateway_proxy.app.gateway import Gateway

log = logging.getLogger("gateway_proxy.gateway")

SWEEP_SECONDS = 10.0
RETENTION_SECONDS = 600.0


async def keep_up(gateway: "Gateway") -> None:
    """Runs until cancelled."""
    due = 0.0
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        gateway.limiter.sweep()
        gateway.live_tokens.drop_expired()
        await follow_prices(gateway)
        await gateway.extensions.tidy()
        due -= SWEEP_SECONDS
        if due > 0 or not gateway.part.is_first:
            continue
        due = RETENTION_SECONDS
        try:
            await delete_old(gateway.store, gateway.clock.now_ms(), gateway.config.logs.retention_days)
            await gateway.made_ids.prune()
        except StoreError as error:
            log.error("old log rows could not be deleted: %s", error)


async def follow_prices(gateway: "Gateway") -> None:
    """Prices of the table change by date: a new runtime takes the new ones."""
    change_at = gateway.runtime.price_change_at
    if change_at is None or gateway.clock.now_ms() < change_at:
        return
    try:
        await gateway.apply(gateway.config)
    except (ValueError, OSError) as error:
        log.error("the new prices are not in force: %s", error)
