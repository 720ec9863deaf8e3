"""One connection: replies find their commands, whoever gives up meanwhile."""

import asyncio

import pytest

from gateway_proxy.shared.resp import Connection, Disconnected, TooSlow
from tests.support.cancelling import cancel_at_random
from tests.support.redis import RedisServer

pytestmark = pytest.mark.slow


async def connect(server: RedisServer) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_unix_connection(lambda: Connection(lambda _: None), str(server.socket))
    return connection


async def test_cancelled_commands_never_mix_replies(redis: RedisServer) -> None:
    connection, late = await connect(redis), []

    async def echo(number: int) -> int:
        return int(await connection.request(("ECHO", f"{number}"), 5, late.append))

    mixed, cancelled = await cancel_at_random(echo, 10_000, turns=3)
    assert await connection.request(("ECHO", "last"), 5) == b"last"
    assert mixed == 0 and cancelled > 3000 and connection._waiters.__len__() == 0
    assert len(late) == len(set(late))
    connection.close()


async def test_one_turn_of_the_loop_is_one_write(redis: RedisServer) -> None:
    connection = await connect(redis)
    before = int(
        (await connection.request(("INFO", "stats"), 5)).split(b"total_reads_processed:")[1].split()[0]
    )
    replies = [connection.request(("ECHO", str(number)), 5) for number in range(100)]
    assert await asyncio.gather(*replies) == [str(number).encode() for number in range(100)]
    after = int(
        (await connection.request(("INFO", "stats"), 5)).split(b"total_reads_processed:")[1].split()[0]
    )
    assert after - before <= 3
    connection.close()


async def test_a_frozen_server_costs_the_time_given_and_its_late_reply_is_told(
    own_redis: RedisServer,
) -> None:
    connection, late, loop = await connect(own_redis), [], asyncio.get_running_loop()
    own_redis.freeze()
    began = loop.time()
    with pytest.raises(TooSlow):
        await connection.request(("ECHO", "a"), 0.04, late.append)
    assert 0.03 < loop.time() - began < 0.2
    assert connection.is_slow and connection.silent_seconds() > 0
    told = asyncio.Event()
    connection.tell(("ECHO", "b"), lambda reply: (late.append(reply), told.set()))
    own_redis.thaw()
    await told.wait()
    assert late == [b"a", b"b"] and not connection.is_slow
    connection.close()


async def test_who_waits_when_the_connection_breaks_is_told(own_redis: RedisServer) -> None:
    connection, late = await connect(own_redis), []
    own_redis.freeze()
    waiting = connection.request(("ECHO", "a"), 5, late.append)
    connection.tell(("ECHO", "b"), late.append)
    own_redis.thaw()
    own_redis.kill()
    try:
        assert await waiting == b"a"
    except Disconnected:
        assert late[0] is None
    while connection.is_open:
        await asyncio.sleep(0.001)
    with pytest.raises(Disconnected):
        connection.request(("PING",), 1)
    with pytest.raises(Disconnected):
        connection.tell(("PING",))
