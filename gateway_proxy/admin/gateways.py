"""The attached gateways: how a change is known to be live, and their list with revoke, allow and forget."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.paging import Listing, Page, cut_page
from gateway_proxy.admin.problem import NotAllowed, NotFound
from gateway_proxy.admin.roles import require_manager, require_reader
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.key import Key
from gateway_proxy.keys.view import LiveOn
from gateway_proxy.storage.registry import LIVE_MS, Gateway, GatewayAct, Registry
from gateway_proxy.storage.store import Store

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
    now_ms = clock.now_ms()
    return [g for g in await registry.list_gateways(organization) if is_attached(g, now_ms)]


async def find_live_on(store: Store, clock: Clock, keys: Sequence[Key]) -> dict[str, LiveOn]:
    """Where each of these keys is live as it stands now, by its id."""
    changes = await store.keys.last_changes([key.id for key in keys])
    attached: dict[str, list[Gateway]] = {}
    for organization in {key.organization for key in keys}:
        attached[organization] = await list_attached(store.registry, clock, organization)
    return {
        key.id: LiveOn(
            len(attached[key.organization]),
            sum(gateway.applied_seq >= changes.get(key.id, 0) for gateway in attached[key.organization]),
        )
        for key in keys
    }


def is_attached(gateway: Gateway, now_ms: int) -> bool:
    """Whether it serves now: heard of lately, and not revoked."""
    return gateway.last_seen_at >= now_ms - LIVE_MS and gateway.revoked_at is None


class GatewayAdmin:
    """Who is attached. Members, who see their own keys only, do not see gateways."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def search(self, actor: Actor, listing: Listing, status: str | None = None) -> Page:
        """Gateway objects by name. `status` is one of pending, healthy, offline, revoked."""
        require_reader(actor, "gateways")
        shown = await self._describe(actor)
        return cut_page([item for item in shown if status in (None, item["status"])], listing, ("name", "id"))

    async def find(self, actor: Actor, gateway_id: str) -> dict[str, Any]:
        """One gateway object."""
        require_reader(actor, "gateways")
        return await self._show(actor, gateway_id)

    async def revoke(self, actor: Actor, gateway_id: str) -> dict[str, Any]:
        """Have it refuse all traffic."""
        return await self._change(actor, gateway_id, "gateway.revoked")

    async def allow(self, actor: Actor, gateway_id: str) -> dict[str, Any]:
        """Undo a revocation."""
        return await self._change(actor, gateway_id, "gateway.allowed")

    async def forget(self, actor: Actor, gateway_id: str) -> None:
        """Drop its record; a gateway that still runs comes back."""
        await self._act(actor, gateway_id, "gateway.forgotten")

    async def _change(self, actor: Actor, gateway_id: str, act: GatewayAct) -> dict[str, Any]:
        await self._act(actor, gateway_id, act)
        return await self._show(actor, gateway_id)

    async def _act(self, actor: Actor, gateway_id: str, act: GatewayAct) -> None:
        gateway = await self._find(actor, gateway_id)
        require_manager(actor, "manage gateways")
        if actor.organization not in (None, gateway.organization):
            raise NotAllowed(
                "the gateway serves every organization; manage it from the command line of its store"
            )
        organization = actor.home if gateway.organization == "*" else gateway.organization
        known = await self._store.registry.change_gateway(
            gateway_id, act, organization=organization, actor=actor.name, ip=actor.ip
        )
        if not known:
            raise NotFound(f"there is no gateway {gateway_id}")

    async def _find(self, actor: Actor, gateway_id: str) -> Gateway:
        for gateway in await self._store.registry.list_gateways(actor.organization):
            if gateway.id == gateway_id:
                return gateway
        raise NotFound(f"there is no gateway {gateway_id}")

    async def _show(self, actor: Actor, gateway_id: str) -> dict[str, Any]:
        for shown in await self._describe(actor):
            if shown["id"] == gateway_id:
                return shown
        raise NotFound(f"there is no gateway {gateway_id}")

    async def _describe(self, actor: Actor) -> list[dict[str, Any]]:
        # The number first: a gateway that has a newer one is not behind.
        newest = await self._store.keys.last_sequence()
        gateways = await self._store.registry.list_gateways(actor.organization)
        now_ms = self._clock.now_ms()
        usual = _find_usual_digest(gateways, now_ms)
        return [gateway_object(gateway, now_ms, newest, usual) for gateway in gateways]


def _find_usual_digest(gateways: Sequence[Gateway], now_ms: int) -> str:
    """That of most attached gateways; "" where that is said of several."""
    digests = Counter(gateway.config_digest for gateway in gateways if is_attached(gateway, now_ms))
    ranked = digests.most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return ""
    return ranked[0][0]


def gateway_object(gateway: Gateway, now_ms: int, newest: int, usual: str) -> dict[str, Any]:
    """A gateway as JSON. `newest` is the number of the last change in the store, `usual` the digest that settings have."""
    return {
        "id": gateway.id,
        "name": gateway.name,
        "organization": gateway.organization,
        "status": _status(gateway, now_ms, newest),
        "version": gateway.version,
        "started_at": format_time(gateway.started_at),
        "last_seen_at": format_time(gateway.last_seen_at),
        "revoked_at": format_time(gateway.revoked_at),
        "applied_changes": gateway.applied_seq,
        "changes_behind": max(0, newest - gateway.applied_seq),
        "config_digest": gateway.config_digest,
        "config_differs": is_attached(gateway, now_ms) and gateway.config_digest != usual,
        "providers": [{"name": name, "health": health} for name, health in gateway.providers],
    }


def _status(gateway: Gateway, now_ms: int, newest: int) -> str:
    if gateway.revoked_at is not None:
        return "revoked"
    if gateway.last_seen_at < now_ms - LIVE_MS:
        return "offline"
    return "pending" if gateway.applied_seq < newest else "healthy"
