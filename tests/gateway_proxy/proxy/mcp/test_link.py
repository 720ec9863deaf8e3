"""What all links do alike, on an exchange from memory."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.versions import MODERN
from gateway_proxy.proxy.mcp.link import Link, LinkExchange, PassingLink, Peer

PROGRESS = Message("notification", None, "notifications/progress")
RESPONSE = Message("response", 1, outcome={"result": {}})


class Exchange(LinkExchange):
    def __init__(self, *told: Message) -> None:
        self._told = told

    async def messages(self) -> AsyncGenerator[Message, None]:
        for message in self._told:
            yield message


class Asked(Link):
    """Keeps the params of what it is asked."""

    params: dict[str, Any] | None = None

    @asynccontextmanager
    async def exchange(
        self,
        peer: Peer,
        method: str,
        params: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Exchange]:
        self.params = params
        yield Exchange(PROGRESS, RESPONSE)


class Recording:
    """Names what it is asked to do, and returns that."""

    def __getattr__(self, name: str) -> Any:
        if name in ("exchange", "session_messages", "changes"):
            return lambda *_: name

        async def told(*_: Any) -> str:
            return name

        return told


async def test_the_response_is_found_behind_what_comes_before() -> None:
    assert await Exchange(PROGRESS, RESPONSE, PROGRESS).final() is RESPONSE
    with pytest.raises(UpstreamFailed) as caught:
        await Exchange(PROGRESS).final()
    assert caught.value.code == "upstream_broken"


async def test_a_question_of_the_gateways_own_is_fitted_to_the_era() -> None:
    link = Asked()  # type: ignore[abstract]
    assert await link.ask(Peer("2025-11-25"), "tools/list") is RESPONSE
    assert "_meta" not in (link.params or {})
    assert await link.ask(Peer(MODERN), "tools/list") is RESPONSE
    assert (link.params or {})["_meta"]["io.modelcontextprotocol/protocolVersion"] == MODERN


async def test_what_a_link_does_not_do_itself_reaches_the_other() -> None:
    link, peer = cast(Any, PassingLink)(), Peer(MODERN)
    link.link = Recording()
    assert await link.ask(peer, "tools/list") == "ask"
    assert link.exchange(peer, "tools/list", None) == "exchange"
    assert await link.open_session({}) == "open_session"
    assert link.session_messages(peer) == "session_messages"
    assert link.changes(peer) == "changes"
