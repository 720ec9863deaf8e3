"""A connection that is kept, and made again."""

import asyncio

import pytest

from gateway_proxy.core.tasks import spawn
from gateway_proxy.shared.address import parse_address
from gateway_proxy.shared.link import Link, Refused, call_of
from gateway_proxy.shared.resp import Disconnected
from gateway_proxy.shared.scripts import BEGIN
from tests.support.redis import RedisServer, run_redis

pytestmark = pytest.mark.slow


async def until(link: Link, generation: int) -> None:
    async with asyncio.timeout(5):
        while link.connection is None or link.generation < generation:
            await asyncio.sleep(0.005)


async def test_it_comes_back_by_itself_and_knows_another_server_process(own_redis: RedisServer) -> None:
    link = Link(parse_address(own_redis.url))
    assert not link.is_usable
    with pytest.raises(Disconnected):
        link.tell(("PING",))
    task = spawn(link.run(), "link")
    await until(link, 1)
    first = link.run_id
    assert first and link.server.startswith(("Redis", "Valkey")) and link.is_usable
    changes: list[bool] = []
    link.on_change = lambda: changes.append(link.connection is not None)
    own_redis.kill()
    async with asyncio.timeout(5):
        while link.connection is not None:
            await asyncio.sleep(0.005)
    own_redis.start()
    await until(link, 2)
    assert link.run_id != first
    assert changes[0] is False and changes[-1] is True
    task.cancel()


async def test_scripts_that_the_server_forgot_are_loaded_again(redis: RedisServer) -> None:
    link = Link(parse_address(redis.url))
    task = spawn(link.run(), "link")
    await until(link, 1)
    await link.call(("SCRIPT", "FLUSH"))
    with pytest.raises(Refused, match="NOSCRIPT"):
        await link.call(call_of(BEGIN, ("gateway-proxy:epoch",), "e"))
    assert await link.call(call_of(BEGIN, ("gateway-proxy:epoch",), "e")) == [1]
    task.cancel()


async def test_a_password_and_a_replica(caplog: pytest.LogCaptureFixture) -> None:
    with run_redis("--requirepass", "open sesame") as server:
        wrong = Link(parse_address(f"unix://:guess@{server.socket}"))
        task = spawn(wrong.run(), "link")
        async with asyncio.timeout(5):
            while "WRONGPASS" not in wrong.error and "invalid" not in wrong.error:
                await asyncio.sleep(0.005)
        task.cancel()
        assert "guess" not in caplog.text and "sesame" not in caplog.text
        right = Link(parse_address(f"unix://:open%20sesame@{server.socket}?db=2"))
        task = spawn(right.run(), "link")
        await until(right, 1)
        await right.call(("ACL", "SETUSER", "bare", "on", "nopass", "~*", "+@all"))
        bare = Link(parse_address(f"unix://bare@{server.socket}"))
        other = spawn(bare.run(), "link")
        await until(bare, 1)
        assert await bare.call(("ACL", "WHOAMI")) == b"bare"
        other.cancel()
        await right.call(("CONFIG", "SET", "maxmemory", "100mb"))
        await right.call(("REPLICAOF", "127.0.0.1", "1"))
        assert right.connection is not None
        right.connection.close()
        async with asyncio.timeout(5):
            while "replica" not in right.error:
                await asyncio.sleep(0.005)
        task.cancel()
