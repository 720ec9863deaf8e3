"""What a key has used and where it is live: its counters now, its last requests, the gateways that have it."""

from dataclasses import dataclass
from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.gateway_view import GatewayView
from gateway_proxy.admin.gateways import list_attached
from gateway_proxy.admin.keys import KeyAdmin
from gateway_proxy.admin.logs import LogAdmin
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.reports import LogQuery
from gateway_proxy.storage.store import Store


@dataclass(frozen=True, slots=True)
class GatewayCopy:
    """An attached gateway, and whether it has applied the key's last change."""

    id: str
    name: str
    has_it: bool


class KeyUseAdmin:
    """Every method raises NotFound for a key that the actor may not see."""

    def __init__(self, store: Store, keys: KeyAdmin, logs: LogAdmin, clock: Clock, view: GatewayView) -> None:
        self._store = store
        self._keys = keys
        self._logs = logs
        self._clock = clock
        self._view = view

    async def counters(self, actor: Actor, key_id: str) -> dict[str, Any] | None:
        """What is left now, as `GatewayView.counters`; None when the gateway does not answer."""
        await self._keys.find(actor, key_id)
        try:
            return await self._view.counters(key_id)
        except ConnectionError:
            return None

    async def last_requests(self, actor: Actor, key_id: str, limit: int = 5) -> list[dict[str, Any]]:
        """The newest first, refusals included, as `LogAdmin` shows them."""
        await self._keys.find(actor, key_id)
        return (await self._logs.search(actor, LogQuery(key_id=key_id), limit=limit)).data

    async def gateways(self, actor: Actor, key_id: str) -> list[GatewayCopy]:
        """The attached gateways that serve the key's organization, by name."""
        key = await self._keys.find(actor, key_id)
        changes = await self._store.keys.list_changes(key_id=key_id, limit=1)
        needed = changes[0].seq if changes else 0
        attached = await list_attached(self._store.registry, self._clock, key["organization"])
        return [GatewayCopy(g.id, g.name, g.applied_seq >= needed) for g in attached]
