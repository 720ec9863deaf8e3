"""Who hears of events, how deliveries went, and a test of an endpoint. Sending is the gateway's; this side only asks."""

import asyncio
from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.paging import Page
from gateway_proxy.admin.problem import Invalid, NotFound
from gateway_proxy.admin.roles import require_manager, require_reader
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.notify.endpoints import TEST_EVENT
from gateway_proxy.storage.deliveries import Delivery, Doer, KnownEndpoint
from gateway_proxy.storage.store import Store

# A webhook has 10 s to answer; a service's process may take longer, and is then found in the list.
TEST_WAIT_SECONDS = 12.0
_POLL_SECONDS = 0.1


class NotificationAdmin:
    """Members, who see their own keys only, see none of it; owners and admins act."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def endpoints(self, actor: Actor) -> list[dict[str, Any]]:
        """The endpoints of the settings in their order, without what may be secret."""
        require_reader(actor, "notifications")
        found = await self._store.deliveries.list_endpoints(actor.organization)
        return [endpoint_object(endpoint) for endpoint in found]

    async def deliveries(
        self,
        actor: Actor,
        *,
        endpoint: str | None = None,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """The delivery log, the newest first. `state` is pending, delivered or failed."""
        require_reader(actor, "notifications")
        try:
            page = await self._store.deliveries.search(
                organization=actor.organization, endpoint=endpoint, state=state, cursor=cursor, limit=limit
            )
        except ValueError as error:
            raise Invalid([FieldError("cursor", str(error))]) from None
        return Page([delivery_object(delivery) for delivery in page.deliveries], page.next_cursor)

    async def send_test(self, actor: Actor, endpoint: str) -> dict[str, Any]:
        """Send one event to one endpoint, once; waits at most 12 s for how it went. The delivery object."""
        require_manager(actor, "test notifications")
        known = await self._find_endpoint(actor, endpoint)
        now_ms = self._clock.now_ms()
        event = EventRow(
            id=new_id("evt"), type=TEST_EVENT, at=now_ms, organization=actor.home, key_id="", dedupe="",
            data={"actor": actor.name},
        )  # fmt: skip
        event.dedupe = event.id
        await self._store.deliveries.add_single(event, known.id, known.shown, now_ms, self._doer(actor))
        return await self._wait(event.id, known.id)

    async def redeliver(self, actor: Actor, delivery_id: str) -> dict[str, Any]:
        """Send an event once more to the endpoint that it went or did not go to, under the same id."""
        require_manager(actor, "send notifications again")
        event_id, _, endpoint = delivery_id.partition(".")
        found = await self._store.deliveries.find(event_id, endpoint, actor.organization)
        if found is None:
            raise NotFound(f"there is no delivery {delivery_id}")
        await self._find_endpoint(actor, endpoint)
        await self._store.deliveries.redeliver(event_id, endpoint, self._clock.now_ms(), self._doer(actor))
        return await self._find(event_id, endpoint)

    async def enable(self, actor: Actor, endpoint: str) -> dict[str, Any]:
        """Send to an endpoint again that had answered 410. The endpoint object."""
        require_manager(actor, "enable an endpoint")
        await self._find_endpoint(actor, endpoint)
        await self._store.deliveries.enable(endpoint, self._doer(actor))
        return endpoint_object(await self._find_endpoint(actor, endpoint))

    async def _wait(self, event_id: str, endpoint: str) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TEST_WAIT_SECONDS
        while True:
            shown = await self._find(event_id, endpoint)
            if shown["state"] != "pending" or loop.time() >= deadline:
                return shown
            await asyncio.sleep(_POLL_SECONDS)

    async def _find(self, event_id: str, endpoint: str) -> dict[str, Any]:
        found = await self._store.deliveries.find(event_id, endpoint)
        assert found is not None  # nobody deletes what is as young as this
        return delivery_object(found)

    async def _find_endpoint(self, actor: Actor, endpoint: str) -> KnownEndpoint:
        for known in await self._store.deliveries.list_endpoints(actor.organization):
            if known.id == endpoint:
                return known
        raise NotFound(f"the settings name no endpoint {endpoint}")

    def _doer(self, actor: Actor) -> Doer:
        return Doer(self._clock, actor.home, actor.name, actor.ip)


def endpoint_object(endpoint: KnownEndpoint) -> dict[str, Any]:
    """An endpoint as JSON."""
    return {
        "id": endpoint.id,
        "kind": endpoint.kind,
        "name": endpoint.shown,
        "organization": endpoint.organization,
        "events": list(endpoint.events),
        "status": "disabled" if endpoint.disabled else "enabled",
        "disabled_reason": endpoint.disabled or None,
    }


def delivery_object(delivery: Delivery) -> dict[str, Any]:
    """A delivery as JSON. `http_status` is that of the last attempt, null without an answer."""
    waits = delivery.state == "pending"
    return {
        "id": f"{delivery.event_id}.{delivery.endpoint}",
        "event_id": delivery.event_id,
        "type": delivery.event.type,
        "key_id": delivery.event.key_id or None,
        "endpoint": delivery.endpoint,
        "endpoint_name": delivery.shown,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": format_time(delivery.created_at),
        "attempted_at": format_time(delivery.attempted_at),
        "next_at": format_time(delivery.next_at) if waits else None,
        "http_status": delivery.status,
        "error": delivery.error or None,
    }
