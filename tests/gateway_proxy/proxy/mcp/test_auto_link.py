"""What a URL speaks is found out, and found out anew when that has changed."""

from typing import Any, cast

import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp.auto_link import AutoLink
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Peer
from gateway_proxy.proxy.mcp.sse_link import SseLink


class FakeLink:
    def __init__(self, name: str, error: UpstreamFailed | None) -> None:
        self.name, self.error, self.connected = name, error, 0

    async def connect(self) -> Peer:
        self.connected += 1
        if self.error is not None:
            raise self.error
        return Peer(self.name)

    async def ask(self, peer: Peer, method: str, params: dict[str, Any] | None = None) -> str:
        return self.name


def make(newer: FakeLink, older: FakeLink) -> AutoLink:
    return AutoLink(cast(HttpLink, newer), cast(SseLink, older))


BROKEN = UpstreamFailed("no JSON")
AWAY = UpstreamFailed("away", code="upstream_unavailable")


async def test_the_newer_is_tried_first_and_the_older_is_remembered() -> None:
    newer, older = FakeLink("newer", None), FakeLink("older", None)
    link = make(newer, older)
    assert (await link.connect()).version == "newer" and older.connected == 0
    newer.error = BROKEN
    assert (await link.connect()).version == "older"
    assert cast(str, await link.ask(Peer("x"), "ping")) == "older"
    newer.error = None
    assert (await link.connect()).version == "older" and newer.connected == 2
    older.error = AWAY
    assert (await link.connect()).version == "newer"


async def test_one_that_is_away_is_not_tried_twice() -> None:
    older = FakeLink("older", None)
    with pytest.raises(UpstreamFailed, match="away"):
        await make(FakeLink("newer", AWAY), older).connect()
    assert older.connected == 0


async def test_where_neither_works_the_newer_says_why() -> None:
    with pytest.raises(UpstreamFailed, match="no JSON"):
        await make(FakeLink("newer", BROKEN), FakeLink("older", AWAY)).connect()
