"""What can be asked for: models and providers, as the gateway has them in force."""

from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.gateway_view import GatewayView, ask
from gateway_proxy.admin.paging import Listing, Page, cut_page
from gateway_proxy.admin.roles import is_member
from gateway_proxy.core.money import format_usd, parse_usd


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

    async def mcp_servers(self, actor: Actor, listing: Listing) -> Page:
        """MCP servers of the settings; how they are reached is not for members."""
        settings: dict[str, Any] = (await ask(self._view.config()))["settings"]
        servers = []
        for server in settings["mcp"]["servers"]:
            shown = {
                "name": server["name"],
                "url": server["url"],
                "command": server["command"] or None,
                "price_per_call_usd": format_usd(parse_usd(server["price_per_call"])),
            }
            servers.append(shown | {"url": None, "command": None} if is_member(actor) else shown)
        return cut_page(servers, listing)
