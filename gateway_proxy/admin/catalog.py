"""What can be asked for: models and providers, as the gateway has them in force."""

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.gateway_view import GatewayView, ask
from gateway_proxy.admin.paging import Listing, Page, cut_page
from gateway_proxy.admin.roles import is_member


class CatalogAdmin:
    """Everybody who is signed in sees names, since keys are limited to them. Raises Unavailable."""

    def __init__(self, view: GatewayView) -> None:
        self._view = view

    async def models(self, actor: Actor, listing: Listing) -> Page:
        """Model objects in the gateway's order."""
        models = await ask(self._view.models())
        if is_member(actor):
            models = [model | {"targets": None} for model in models]
        return cut_page(models, listing)

    async def providers(self, actor: Actor, listing: Listing) -> Page:
        """Provider objects in the order of the settings; where they are is not for members."""
        providers = await ask(self._view.providers())
        if is_member(actor):
            providers = [provider | {"base_url": None} for provider in providers]
        return cut_page(providers, listing)
