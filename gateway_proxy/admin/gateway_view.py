"""What the admin side may ask of the running gateway. It stands in another process, so every question can fail."""

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

from gateway_proxy.admin.problem import Unavailable

_Result = TypeVar("_Result")


class GatewayView(Protocol):
    """Answers are JSON-ready and hold no secret. Every method raises ConnectionError when the gateway does not answer."""

    async def config(self) -> dict[str, Any]:
        """`{"revision", "digest", "source", "reload_error", "settings"}`: the settings in force, secrets as ***."""
        ...

    async def providers(self) -> list[dict[str, Any]]:
        """`[{"name", "dialect", "base_url", "health": "up"|"down"|"half_open", "models"}]` in the order of the file."""
        ...

    async def models(self) -> list[dict[str, Any]]:
        """`[{"name", "declared", "targets", "price": {class: USD per million or each} | null, "price_source"}]`."""
        ...

    async def mcp_servers(self) -> list[dict[str, Any]]:
        """How each MCP server does and what it offers, as `app.mcp_facts` has it, in the order of the file."""
        ...

    async def changed_tool(self, server: str, tool: str) -> dict[str, str] | None:
        """`{"fingerprint", "definition"}` of a tool as it is now; None unless it waits to be approved."""
        ...

    async def approve_tool(self, server: str, tool: str, fingerprint: str, definition: str) -> None:
        """The store has the approval; put it in force."""
        ...

    async def counters(self, key_id: str) -> dict[str, Any]:
        """What the key has left now: `{"requests", "tokens", "parallel", "budget"}`, each null without a limit."""
        ...

    async def explain(self, key_id: str, question: dict[str, str]) -> dict[str, Any]:
        """`{"allowed", "verdicts"}`: what a request of the key would be told now. `question` is a `Question`'s JSON."""
        ...


class NoGateway:
    """The view of where no gateway can be asked, as from the command line."""

    async def config(self) -> dict[str, Any]:
        raise ConnectionError

    async def providers(self) -> list[dict[str, Any]]:
        raise ConnectionError

    async def models(self) -> list[dict[str, Any]]:
        raise ConnectionError

    async def mcp_servers(self) -> list[dict[str, Any]]:
        raise ConnectionError

    async def changed_tool(self, server: str, tool: str) -> dict[str, str] | None:
        raise ConnectionError

    async def approve_tool(self, server: str, tool: str, fingerprint: str, definition: str) -> None:
        raise ConnectionError

    async def counters(self, key_id: str) -> dict[str, Any]:
        raise ConnectionError

    async def explain(self, key_id: str, question: dict[str, str]) -> dict[str, Any]:
        raise ConnectionError


async def ask(question: Awaitable[_Result]) -> _Result:
    """The gateway's answer. Raises Unavailable where there is none."""
    try:
        return await question
    except ConnectionError:
        raise Unavailable("the gateway does not answer; see whether it runs, then ask again") from None
