"""Which connection a request gets, and that none is ever lost, shared or mixed up."""

from __future__ import annotations

import asyncio
import gc
import random
import time

import pytest

from gateway_proxy.proxy.upstream import (
    ConnectFailed,
    PoolExhausted,
    Timeouts,
    UpstreamBroken,
    UpstreamError,
)
from gateway_proxy.proxy.upstream.reader import ResponseReader
from tests.gateway_proxy.proxy.upstream.scripted import (
    OK,
    SHORT,
    Peer,
    answering,
    exchange,
    pool_to,
    serving,
)
from tests.support.waiting import until


async def test_warm_connections_are_reused_last_in_first_out() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % peer.number)

    async with serving(script) as server, pool_to(server.origin) as pool:
        first, second = await asyncio.gather(exchange(pool), exchange(pool))
        assert {first[1], second[1]} == {b"1", b"2"}
        last = pool._idle[-1]
        await exchange(pool)
        assert pool._idle[-1] is last
        assert (server.connections, pool.stats()[:3]) == (2, (2, 2, 0))


async def test_an_idle_connection_the_peer_closes_is_dropped() -> None:
    async with serving(answering(OK)) as server, pool_to(server.origin) as pool:
        await exchange(pool)
        await until(lambda: pool.stats().open == 0)
        assert await exchange(pool) == (200, b"hello")


async def test_a_connection_whose_loss_is_not_told_yet_is_not_used() -> None:
    async with serving(answering(OK, OK, hang=True)) as server, pool_to(server.origin) as pool:
        await exchange(pool)
        transport = pool._idle[-1]._transport
        assert transport is not None
        transport.abort()
        assert await exchange(pool) == (200, b"hello")
        assert (server.connections, pool.stats().open) == (2, 1)


@pytest.mark.slow
async def test_a_closed_connection_leaves_nothing_to_the_garbage_collector() -> None:
    async with serving(answering(OK, hang=True)) as server, pool_to(server.origin) as pool:
        await exchange(pool)
        gc.collect()
        gc.disable()
        try:
            pool._idle[-1].abort()
            await until(lambda: pool.stats().open == 0)
            await asyncio.sleep(0.01)  # callbacks that hold the connection have run
            # Once: in a long run there are millions of objects to look through.
            assert not any(isinstance(kept, ResponseReader) for kept in gc.get_objects())
        finally:
            gc.enable()


async def test_an_idle_connection_expires() -> None:
    async with serving(answering(OK, hang=True)) as server, pool_to(server.origin, idle_seconds=0.1) as pool:
        await exchange(pool)
        assert pool.stats().idle == 1
        await until(lambda: pool.stats().open == 0)
        await until(lambda: pool._sweeper is None)


async def test_no_more_than_max_idle_are_kept() -> None:
    async with serving(answering(OK, hang=True)) as server, pool_to(server.origin, max_idle=1) as pool:
        await asyncio.gather(*(exchange(pool) for _ in range(4)))
        assert pool.stats()[:3] == (1, 1, 0)


async def test_a_reused_connection_that_dies_unanswered_says_so() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK)
        await peer.request()

    async with serving(script) as server, pool_to(server.origin) as pool:
        await exchange(pool)
        with pytest.raises(UpstreamBroken) as caught:
            await exchange(pool)
        assert (caught.value.reused, caught.value.request_sent) == (True, True)


async def test_a_fresh_connection_that_dies_unanswered_is_not_called_reused() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server, pool_to(server.origin) as pool:
        with pytest.raises(UpstreamBroken, match="without an answer") as caught:
            await exchange(pool)
        assert not caught.value.reused


async def test_refused() -> None:
    async with serving(answering(OK)) as server:
        origin = server.origin
    async with pool_to(origin) as pool:
        with pytest.raises(ConnectFailed, match=f"cannot reach 127.0.0.1:{origin.port}") as caught:
            await exchange(pool)
        assert not caught.value.request_sent
        assert pool.stats() == (0, 0, 0, 0)


async def test_a_pool_that_is_used_up_refuses_within_the_connect_limit() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    timeouts = Timeouts(connect=0.1, first_byte=5, between_bytes=5)
    async with serving(script) as server, pool_to(server.origin, timeouts, max_connections=2) as pool:
        held = [asyncio.create_task(exchange(pool)) for _ in range(2)]
        await until(lambda: pool.stats().in_use == 2)
        begun = time.monotonic()
        with pytest.raises(PoolExhausted) as caught:
            await exchange(pool)
        assert time.monotonic() - begun < 1
        assert not caught.value.request_sent
        assert pool.stats() == (2, 0, 2, 0)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        assert pool.stats() == (0, 0, 0, 0)


async def test_waiting_requests_share_few_connections() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.write(OK)

    async with serving(script) as server, pool_to(server.origin, max_connections=3) as pool:
        assert await asyncio.gather(*(exchange(pool) for _ in range(50))) == [(200, b"hello")] * 50
        assert server.connections == 3
        assert pool.stats() == (3, 3, 0, 0)


async def test_waiting_requests_get_the_slots_of_closed_connections() -> None:
    closing = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
    async with serving(answering(closing)) as server, pool_to(server.origin, max_connections=2) as pool:
        assert await asyncio.gather(*(exchange(pool) for _ in range(20))) == [(200, b"hello")] * 20
        assert pool.stats() == (0, 0, 0, 0)


async def test_one_hung_exchange_does_not_hold_up_another() -> None:
    async def script(peer: Peer) -> None:
        head = await peer.request()
        if b"/hang" in head:
            await peer.closed()
        await peer.write(OK)

    async with serving(script) as server, pool_to(server.origin, SHORT) as pool:
        hung = [asyncio.create_task(pool.send(b"GET /hang HTTP/1.1\r\n\r\n")) for _ in range(20)]
        await until(lambda: pool.stats().in_use == 20)
        assert await exchange(pool) == (200, b"hello")
        results = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(result, UpstreamError) for result in results)


async def test_closing_ends_what_runs_and_refuses_what_comes() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin, max_connections=1) as pool:
        tasks = [asyncio.create_task(exchange(pool)) for _ in range(3)]
        await until(lambda: pool.stats().waiting == 2 and pool.stats().in_use == 1)
        await pool.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [UpstreamBroken, ConnectFailed, ConnectFailed]
        with pytest.raises(ConnectFailed, match="closed"):
            await exchange(pool)
        assert pool.stats() == (0, 0, 0, 0)


async def test_an_answer_in_the_moment_of_cancellation_costs_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    async with serving(script) as server, pool_to(server.origin) as pool:
        task = asyncio.create_task(exchange(pool))
        await until(lambda: pool.stats().in_use == 1)
        (connection,) = pool._in_use
        task.cancel()
        connection.get_buffer(-1)[: len(OK)] = OK
        connection.buffer_updated(len(OK))
        assert pool.stats().open == 0
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_random_cancellations_never_mix_answers_nor_leak() -> None:
    """400 requests with tags, most of them cancelled at random moments; every answer carries its own tag."""
    chance = random.Random(7)

    async def script(peer: Peer) -> None:
        while True:
            tag = (await peer.request()).split(b" ")[1]
            if chance.random() < 0.5:
                await asyncio.sleep(chance.random() * 0.004)
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(tag), tag) for _ in range(3))
            whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
            cut = chance.randrange(len(whole))
            await peer.write(whole[:cut])
            await asyncio.sleep(0)
            await peer.write(whole[cut:])

    async with serving(script) as server, pool_to(server.origin, max_connections=10) as pool:
        answered = 0

        async def one(tag: bytes) -> None:
            nonlocal answered
            response = await pool.send(b"GET %s HTTP/1.1\r\n\r\n" % tag)
            try:
                assert await response.read_all(1000) == tag * 3
                answered += 1
            finally:
                response.close()

        async def cancelled(tag: bytes) -> None:
            task = asyncio.create_task(one(tag))
            if chance.random() < 0.7:
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                if chance.random() < 0.5:
                    await asyncio.sleep(chance.random() * 0.01)
                task.cancel()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            assert result is None or isinstance(result, asyncio.CancelledError), result

        for _ in range(10):
            await asyncio.gather(*(cancelled(b"/%d" % chance.randrange(10**9)) for _ in range(40)))
        assert answered > 50
        stats = pool.stats()
        assert (stats.in_use, stats.waiting) == (0, 0)
        assert stats.open == stats.idle <= 10
