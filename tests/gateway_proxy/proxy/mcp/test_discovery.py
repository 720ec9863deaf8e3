"""Discovery over servers of which some hang, lie or forget."""

import asyncio
from typing import Any

import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import drain
from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp.discovery import MAX_PAGES, Discovery, fetch_offer
from gateway_proxy.proxy.mcp.link import Peer, SessionEnded

PEER = Peer("2026-07-28")


class FakeLink:
    """Answers lists from pages; waits for `open` first."""

    def __init__(self, *pages: Any, error: Exception | None = None) -> None:
        self.pages, self.error = pages, error
        self.connected = self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def connect(self) -> Peer:
        self.connected += 1
        return Peer("2025-11-25", str(self.connected))

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> Message:
        self.asked += 1
        await self.open.wait()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if method != "tools/list":
            return Message("response", 1, outcome={"error": {"code": -32601, "message": "m"}})
        index = int((params or {}).get("cursor", 0))
        more = {"nextCursor": str(index + 1)} if index + 1 < len(self.pages) else {}
        return Message("response", 1, outcome={"result": {"tools": self.pages[index], **more}})


async def test_pages_are_put_together_and_what_is_not_offered_is_empty() -> None:
    offer = await fetch_offer("a", FakeLink([{"name": "y"}], [{"name": "x"}, {"odd": 1}]), PEER)
    assert list(offer.things("tools")) == ["x", "y"] and offer.things("prompts") == {}


@pytest.mark.parametrize("pages", [(None,), ({"name": "x"},), tuple([] for _ in range(MAX_PAGES + 1))])
async def test_a_server_that_lies_is_refused(pages: tuple[Any, ...]) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        await fetch_offer("a", FakeLink(*pages), PEER)
    assert caught.value.code == "upstream_broken"


async def test_one_that_hangs_delays_nobody_and_its_late_answer_is_kept() -> None:
    slow, quick = FakeLink([{"name": "s"}]), FakeLink([{"name": "q"}])
    slow.open.clear()
    discovery = Discovery({"slow": slow, "quick": quick})
    await discovery.refresh(0.02)
    await discovery.refresh(0.02)
    assert slow.asked == 1  # still the same question
    assert (
        list(discovery.catalogue["quick"].things("tools")) == ["q"]
        and not discovery.catalogue["quick"].problem
    )
    assert "in time" in discovery.catalogue["slow"].problem
    slow.open.set()
    await drain(1)
    assert (
        list(discovery.catalogue["slow"].things("tools")) == ["s"] and not discovery.catalogue["slow"].problem
    )


async def test_what_was_offered_last_stays() -> None:
    link = FakeLink([{"name": "x"}])
    discovery = Discovery({"a": link})
    await discovery.refresh()
    link.error = UpstreamFailed("The MCP server broke off.")
    await discovery.refresh()
    offer = discovery.catalogue["a"]
    assert list(offer.things("tools")) == ["x"] and offer.problem == "The MCP server broke off."


async def test_a_session_that_has_ended_is_made_anew_once() -> None:
    link = FakeLink([{"name": "x"}], error=SessionEnded("ended"))
    discovery = Discovery({"a": link})
    await discovery.refresh()
    assert link.connected == 2 and not discovery.catalogue["a"].problem
    assert (await discovery.peer("a")).session_id == "2"


async def test_no_servers() -> None:
    discovery = Discovery({})
    await discovery.refresh()
    assert discovery.catalogue == {}
