"""The attached gateways: how a change is known to be live, and their list with revoke, allow and forget."""

import asyncio

from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.view import LiveOn
from gateway_proxy.storage.registry import Gateway, Registry

# A gateway reports itself every 5 seconds and counts as gone after three misses.
ATTACHED_MS = 15_000
LIVE_WAIT_SECONDS = 1.0
_LIVE_POLL_SECONDS = 0.02


async def wait_until_live(
    registry: Registry, clock: Clock, organization: str, sequence: int | None, *, wait: bool = True
) -> LiveOn:
    """Which attached gateways have applied the change; waits at most a second for all of them."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (LIVE_WAIT_SECONDS if wait else 0)
    while True:
        attached = await list_attached(registry, clock, organization)
        acked = [g for g in attached if sequence is None or g.applied_seq >= sequence]
        if len(acked) == len(attached) or loop.time() >= deadline:
            return LiveOn(len(attached), len(acked))
        await asyncio.sleep(_LIVE_POLL_SECONDS)


async def list_attached(registry: Registry, clock: Clock, organization: str) -> list[Gateway]:
    """The gateways that serve this organization's keys now."""
    fresh_since = clock.now_ms() - ATTACHED_MS
    gateways = await registry.list_gateways(organization)
    return [g for g in gateways if g.last_seen_at >= fresh_since and g.revoked_at is None]
