"""What a form for keys offers to choose from: owners, providers, MCP servers and their tools."""

from dataclasses import dataclass
from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.gateway_view import GatewayView
from gateway_proxy.admin.roles import is_manager
from gateway_proxy.storage.store import Store


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """A tool as its server describes it."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """An MCP server; no tools means that they are not known."""

    name: str
    tools: tuple[ToolChoice, ...] = ()


@dataclass(frozen=True, slots=True)
class Choices:
    """Names in the order of the settings. `known` is False when the gateway does not answer."""

    providers: tuple[str, ...] = ()
    servers: tuple[ServerChoice, ...] = ()
    owners: tuple[str, ...] = ()  # empty for who may only make keys of their own
    known: bool = True


class ChoiceAdmin:
    """Asks the store and the gateway's settings."""

    def __init__(self, store: Store, view: GatewayView) -> None:
        self._store = store
        self._view = view

    async def list_choices(self, actor: Actor) -> Choices:
        """All there is to choose from for this actor."""
        owners: tuple[str, ...] = ()
        if is_manager(actor):
            members = await self._store.registry.list_members(actor.home)
            owners = tuple(member.email for member in members)
        try:
            providers = await self._view.providers()
            settings = (await self._view.config())["settings"]
            live = {server["name"]: server for server in await self._view.mcp_servers()}
        except ConnectionError:
            return Choices(owners=owners, known=False)
        servers = settings.get("mcp", {}).get("servers", [])
        return Choices(
            providers=tuple(provider["name"] for provider in providers),
            servers=tuple(
                ServerChoice(name, _list_tools(live.get(name)))
                for name in (server["name"] for server in servers)
            ),
            owners=owners,
        )


def _list_tools(live: dict[str, Any] | None) -> tuple[ToolChoice, ...]:
    if live is None:
        return ()
    return tuple(ToolChoice(tool["name"], tool["description"] or "") for tool in live["tools"])
