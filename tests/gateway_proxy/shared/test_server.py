"""Scripts under an epoch: nothing is done under another one, and a server that goes back in time is noticed."""

import pytest

from gateway_proxy.shared.names import EPOCH, Names
from gateway_proxy.shared.scripts import BEAT
from gateway_proxy.shared.server import Lost
from tests.support.redis import RedisServer
from tests.support.shared_limits import FakeStore, Part, running_parts

pytestmark = pytest.mark.slow


async def beat(part: Part) -> list[object]:
    names = part.server.names
    assert names is not None
    return await part.server.ask(1, None, BEAT, (names.parts,), part.server.part)


async def test_numbers_only_grow(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 2) as (one, two):
        replies = [(await beat(part))[1] for part in (one, two, one, two)]
        assert replies == sorted(set(replies))
        redis.run("HSET", EPOCH, "n", "1")
        with pytest.raises(Lost):
            await beat(one)
        assert one.server.names is None and not one.server.is_ready


async def test_another_epoch_does_nothing(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 1) as (part,):
        names = part.server.names
        part.server.names = Names("other")
        with pytest.raises(Lost):
            await beat(part)
        assert names is not None
        assert redis.run("EXISTS", Names("other").parts) == b":0\r\n"


async def test_what_an_earlier_connection_left_behind_does_nothing(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 1) as (part,):
        redis.run("HSET", EPOCH, f"c:{part.server.part}", "99")
        with pytest.raises(Lost):
            await beat(part)


async def test_time_is_the_servers(redis: RedisServer) -> None:
    async with running_parts(redis.url, FakeStore(), 1) as (part,):
        reply = await beat(part)
        assert abs(part.server.now_ms() - int(str(reply[2]))) < 1000
