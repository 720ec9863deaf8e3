"""Questions to each server, of which 10,000 are given up at random moments: nobody gets another's answer, no connection is lost.

In the way in which the gateway asks: over one connection to Redis, and over a few to PostgreSQL, plain and in transactions.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from bench.figure import Figure
from gateway_proxy.core.tasks import spawn
from gateway_proxy.shared.address import parse_address
from gateway_proxy.shared.link import Link
from gateway_proxy.storage.postgres import PostgresDatabase
from tests.support.cancelling import cancel_at_random
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.redis import RedisServer, run_redis

COUNT, SHORT_COUNT = 25_000, 600
POSTGRES_TURNS, REDIS_TURNS = 20, 3  # of the loop, in which most are still waiting
_LEAST_SHARE = 0.4
Ask = Callable[[int], Awaitable[object]]


def run(short: bool) -> list[Figure]:
    """The long form takes about half a minute."""
    count = SHORT_COUNT if short else COUNT
    with run_postgres() as server, run_redis() as redis:
        return asyncio.run(_ask_postgres(server, count)) + asyncio.run(_ask_redis(redis, count))


async def _ask_postgres(server: PostgresServer, count: int) -> list[Figure]:
    url = await server.make_database()
    watcher = await asyncpg.connect(url)
    await watcher.execute("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY)")
    db = await PostgresDatabase.open(url)

    async def ask(number: int) -> object:
        if number % 3:
            row = await db.fetch_one("SELECT $1::bigint", number)
        else:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t (id) VALUES ($1)", number)
                row = await tx.fetch_one("SELECT $1::bigint", number)
        return row and row[0]

    async def connections() -> int:
        sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(await watcher.fetchval(sql))

    try:
        return await _judge("PostgreSQL", ask, connections, count, POSTGRES_TURNS)
    finally:
        await db.close()
        await watcher.close()


async def _ask_redis(server: RedisServer, count: int) -> list[Figure]:
    link = Link(parse_address(server.url))
    task = spawn(link.run(), "link")

    async def ask(number: int) -> object:
        reply = await link.call(("ECHO", str(number)))
        assert isinstance(reply, bytes)
        return int(reply)

    async def connections() -> int:
        return server.run("CLIENT", "LIST").count(b"addr=") - 1

    try:
        while link.connection is None:
            await asyncio.sleep(0.01)
        return await _judge("Redis", ask, connections, count, REDIS_TURNS)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if link.connection is not None:
            link.connection.close()
        await asyncio.sleep(0)


async def _judge(
    name: str, ask: Ask, connections: Callable[[], Awaitable[int]], count: int, turns: int
) -> list[Figure]:
    await cancel_at_random(ask, 60, turns=1, seed=1)  # it has as many connections as it wants then
    before = await connections()
    mixed, cancelled = await cancel_at_random(_shift(ask), count, turns)
    after = await connections()
    head = f"{count:,} questions to {name}, {cancelled:,} of them given up: "
    least = round(_LEAST_SHARE * count)
    return [
        Figure(head + "another's answer", 0, mixed, "answers", mixed == 0),
        Figure(head + "given up, at least", least, cancelled, "questions", cancelled >= least),
        Figure(head + "connections more than before", 0, max(0, after - before), "connections", after <= before),
    ]  # fmt: skip


def _shift(ask: Ask) -> Ask:
    """With numbers that were not asked yet."""

    async def shifted(number: int) -> object:
        answer = await ask(number + 1000)
        assert isinstance(answer, int)
        return answer - 1000

    return shifted
