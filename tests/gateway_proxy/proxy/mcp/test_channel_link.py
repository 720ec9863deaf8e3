"""Which era a link agrees on, over channels that answer at once."""

import asyncio
from typing import Any

import orjson
import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.mcp.message import parse_message
from gateway_proxy.mcp.versions import MODERN
from gateway_proxy.proxy.mcp import channel_link
from gateway_proxy.proxy.mcp.channel import Channel
from gateway_proxy.proxy.mcp.channel_link import ChannelLink
from gateway_proxy.proxy.mcp.link import SessionEnded

DISCOVERED = {"result": {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}}
INITIALIZED = {"result": {"protocolVersion": "2025-11-25", "capabilities": {}}}
UNKNOWN = {"error": {"code": -32601, "message": "m"}}
ONLY_MODERN = {"error": {"code": -32022, "message": "m", "data": {"supported": [MODERN]}}}


class FakeLink(ChannelLink):
    """`answers` are given by method; what is missing is never answered."""

    def __init__(self, *, is_legacy: bool | None = None, **answers: Any) -> None:
        super().__init__(start_seconds=0.2, silence_seconds=0.2, is_legacy=is_legacy)
        self.answers = {name.replace("_", "/"): answer for name, answer in answers.items()}
        self.asked: list[list[str]] = []
        self.error: UpstreamFailed | None = None

    async def _open(self) -> Channel:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        asked: list[str] = []
        self.asked.append(asked)

        async def write(line: bytes) -> None:
            value = orjson.loads(line)
            asked.append(value["method"])
            if "id" in value and (answer := self.answers.get(value["method"])) is not None:
                channel.take(parse_message({"jsonrpc": "2.0", "id": value["id"], **answer}))

        channel = Channel(write)
        return channel

    async def _shut(self) -> None:
        if self._channel is not None:
            self._channel.fail(UpstreamFailed("shut"))


async def test_a_modern_server_keeps_its_channel() -> None:
    link = FakeLink(server_discover=DISCOVERED, ping={"result": {}})
    peer = await link.connect()
    assert peer.version == MODERN and await link.connect() is peer
    await link.ask(peer, "ping")
    assert link.asked == [["server/discover", "ping"]]


async def test_a_legacy_server_is_spoken_to_on_a_channel_of_its_own_and_remembered() -> None:
    link = FakeLink(server_discover=UNKNOWN, initialize=INITIALIZED)
    first = await link.connect()
    await link._shut()
    second = await link.connect()
    assert (first.version, first.session_id, second.session_id) == ("2025-11-25", "2", "3")
    greeting = ["initialize", "notifications/initialized"]
    assert link.asked == [["server/discover"], greeting, greeting]
    with pytest.raises(SessionEnded):
        await link.notify(first, "notifications/progress")


async def test_a_server_that_says_nothing_to_the_first_question_is_legacy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_link, "PROBE_SECONDS", 0.01)
    assert (await FakeLink(initialize=INITIALIZED).connect()).version == "2025-11-25"


async def test_a_modern_server_that_was_slow_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_link, "PROBE_SECONDS", 0.01)
    link = FakeLink(initialize=ONLY_MODERN)
    late = asyncio.get_running_loop().call_later(
        0.005, lambda: link.answers.update({"server/discover": DISCOVERED})
    )
    assert (await link.connect()).version == MODERN
    late.cancel()


async def test_who_leaves_does_not_end_the_opening() -> None:
    link = FakeLink(server_discover=DISCOVERED)
    leaving = asyncio.ensure_future(link.connect())
    await asyncio.sleep(0)
    staying = asyncio.ensure_future(link.connect())
    leaving.cancel()
    assert (await staying).version == MODERN and len(link.asked) == 1


async def test_one_that_cannot_be_opened_is_not_tried_in_the_other_era() -> None:
    link = FakeLink()
    link.error = UpstreamFailed("no", code="upstream_unavailable")
    with pytest.raises(UpstreamFailed, match="no"):
        await link.connect()
    assert link._openings == 1


async def test_a_closed_link_opens_nothing() -> None:
    link = FakeLink()
    opening = asyncio.ensure_future(link.connect())
    await asyncio.sleep(0)
    await link.close()
    with pytest.raises(UpstreamFailed, match="not in use"):
        await opening
    with pytest.raises(UpstreamFailed, match="not in use"):
        await link.connect()
