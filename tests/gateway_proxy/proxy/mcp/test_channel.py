"""What belongs to which exchange on a stream that all share."""

import asyncio
from typing import Any

import orjson
import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import drain
from gateway_proxy.mcp.message import Message, parse_message
from gateway_proxy.proxy.mcp.changes import LISTEN, SUBSCRIPTION_KEY
from gateway_proxy.proxy.mcp.channel import MAX_WAITING, Channel


class Wire:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.channel = Channel(self._write)

    async def _write(self, line: bytes) -> None:
        self.sent.append(orjson.loads(line))

    def say(self, **members: Any) -> None:
        self.channel.take(parse_message({"jsonrpc": "2.0", **members}))


async def test_answers_come_in_any_order() -> None:
    wire = Wire()
    async with wire.channel.exchange("a", None, 1) as one, wire.channel.exchange("b", None, 1) as two:
        wire.say(id=2, result={"n": 2})
        wire.say(id=99, result={})
        wire.say(id=1, result={"n": 1})
        outcomes = [(await one.final()).outcome, (await two.final()).outcome]
    assert outcomes == [{"result": {"n": 1}}, {"result": {"n": 2}}]
    assert [value["method"] for value in wire.sent] == ["a", "b"]  # and nothing is cancelled


async def test_a_subscription_gets_what_names_it_and_ends_with_its_server() -> None:
    wire = Wire()
    async with wire.channel.exchange(LISTEN, {}, 0.001) as exchange:
        wire.say(method="notifications/tools/list_changed", params={"_meta": {SUBSCRIPTION_KEY: 1}})
        wire.say(method="notifications/tools/list_changed", params={"_meta": {SUBSCRIPTION_KEY: 5}})
        wire.say(method="notifications/cancelled", params={"requestId": 1})
        seen: list[Message] = []
        with pytest.raises(UpstreamFailed):
            async for message in exchange.messages():
                seen.append(message)
    assert [message.method for message in seen] == [
        "notifications/tools/list_changed"
    ] and wire.channel.stirred.is_set()


async def test_a_reader_that_is_too_slow_ends_alone() -> None:
    wire = Wire()
    params = {"_meta": {"progressToken": "t"}}
    async with wire.channel.exchange("a", params, 1) as exchange:
        for number in range(MAX_WAITING + 1):
            wire.say(method="notifications/progress", params={"progressToken": 1, "progress": number})
        with pytest.raises(UpstreamFailed, match="too slowly"):
            await exchange.final()
    assert params == {"_meta": {"progressToken": "t"}}  # whose params they were still has them
    assert wire.sent[-1]["method"] == "notifications/cancelled"


async def test_a_channel_that_ended_ends_what_waits_and_what_comes() -> None:
    wire = Wire()
    error = UpstreamFailed("gone")
    async with wire.channel.exchange("a", None, 1) as exchange:
        waiting = asyncio.ensure_future(exchange.final())
        await asyncio.sleep(0)
        wire.channel.fail(error)
        with pytest.raises(UpstreamFailed, match="gone"):
            await waiting
    with pytest.raises(UpstreamFailed, match="gone"):
        async with wire.channel.exchange("b", None, 1):
            pass
    wire.say(id="p", method="ping")
    await drain(1)
    assert [value.get("method") for value in wire.sent] == ["a", None]
