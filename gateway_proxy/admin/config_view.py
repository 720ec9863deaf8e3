"""The settings in force, as the gateway tells them: read only, without secrets."""

from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.gateway_view import GatewayView, ask
from gateway_proxy.admin.roles import require_reader


class ConfigAdmin:
    """Settings are changed in the file; here they are shown."""

    def __init__(self, view: GatewayView) -> None:
        self._view = view

    async def show(self, actor: Actor) -> dict[str, Any]:
        """Revision, source, the mistake of the last reload if it failed, and the settings. Raises Unavailable."""
        require_reader(actor, "settings")
        return await ask(self._view.config())
