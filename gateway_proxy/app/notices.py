"""Builds the notifier of a gateway; what sends is loaded when there is something to send."""

from gateway_proxy.app.part import Part
from gateway_proxy.app.quiet import QuietNotifier
from gateway_proxy.core.clock import Clock
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.notify.notifier import Notifier, Sender
from gateway_proxy.notify.occasions import Occasions, ProviderWatch
from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.storage import Store


def make_notifier(
    part: Part, store: Store, clock: Clock, breakers: Breakers, gateway_id: str, organization: str
) -> Notifier | QuietNotifier:
    """`organization` as in the settings, `*` for all."""
    if not part.is_first:
        return QuietNotifier()
    own = None if organization == "*" else organization

    def make_sender(endpoint: Endpoint) -> Sender:
        if endpoint.kind == "service":
            from gateway_proxy.notify.service import ServiceSender

            return ServiceSender(endpoint)
        from gateway_proxy.notify.webhook import WebhookSender

        return WebhookSender(endpoint, clock)

    return Notifier(
        store,
        clock,
        gateway_id,
        own,
        Occasions(store, clock, own),
        ProviderWatch(breakers.list_tripped, clock, gateway_id, organization),
        make_sender,
    )
