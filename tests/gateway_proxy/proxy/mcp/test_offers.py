"""The lists of one server, also of one that lies."""

import asyncio
from typing import Any

import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp.link import Peer
from gateway_proxy.proxy.mcp.offers import MAX_PAGES, fetch_offer
from tests.support.mcp_link import FakeLink

PEER = Peer("2026-07-28")


async def test_pages_are_put_together_and_what_is_not_offered_is_empty() -> None:
    offer = await fetch_offer("a", FakeLink([{"name": "y"}], [{"name": "x"}, {"odd": 1}]), PEER)
    assert list(offer.things("tools")) == ["x", "y"] and offer.things("prompts") == {}


@pytest.mark.parametrize("pages", [(None,), ({"name": "x"},), tuple([] for _ in range(MAX_PAGES + 1))])
async def test_a_server_that_lies_is_refused(pages: tuple[Any, ...]) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        await fetch_offer("a", FakeLink(*pages), PEER)
    assert caught.value.code == "upstream_broken"


async def test_one_that_takes_too_long_is_not_waited_for() -> None:
    link = FakeLink([])
    link.open = asyncio.Event()
    with pytest.raises(UpstreamFailed) as caught:
        await fetch_offer("a", link, PEER, 0.01)
    assert caught.value.code == "upstream_timeout"
