"""Ways in which a store on PostgreSQL, or a server of counters, is not what it was; each is begun and says how it is ended."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import asyncpg

from tests.rig.fault_proxy import FaultProxy
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

__all__ = ["Fault", "Heal", "faults_of_counters", "faults_of_store", "set_read_only", "take_all_connections"]

Heal = Callable[[], Awaitable[object]]
Fault = Callable[[], Awaitable[Heal]]


async def set_read_only(url: str) -> Heal:
    """As a server that has become a standby: every session reads and none writes."""

    async def order(word: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {word}")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()

    await order("on")
    return lambda: order("off")


async def take_all_connections(url: str) -> Heal:
    """Others hold every connection that the server has, and the gateways' own are ended."""
    first = await asyncpg.connect(url)
    taken = [first]
    ours = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'gateway-proxy'"
    quiet = 0
    while quiet < 3:
        ended = await first.fetchval(ours)
        try:
            while True:
                taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            quiet = 0 if ended else quiet + 1
        await asyncio.sleep(0.02)

    async def give_back() -> None:
        while taken:
            await taken.pop().close()

    return give_back


def faults_of_store(server: PostgresServer, url: str, links: Iterable[FaultProxy]) -> dict[str, Fault]:
    """By what the store is then."""
    return {
        "killed": _pair(server.kill, server.start),
        "cut off": _pair(*_on_all(links, FaultProxy.blackhole)),
        "read-only": lambda: set_read_only(url),
        "without connections to be had": lambda: take_all_connections(url),
    }


def faults_of_counters(server: RedisServer, links: Iterable[FaultProxy]) -> dict[str, Fault]:
    """By what the server of the counters is then."""

    def command(*words: str) -> Callable[[], object]:
        return lambda: server.run(*words)

    return {
        "killed": _pair(server.kill, server.start),
        "cut off": _pair(*_on_all(links, FaultProxy.blackhole)),
        "2 s slow": _pair(*_on_all(links, lambda link: link.delay(2.0))),
        "read-only": _pair(command("REPLICAOF", "127.0.0.1", "1"), command("REPLICAOF", "NO", "ONE")),
        "full": _pair(command("CONFIG", "SET", "maxmemory", "1"), command("CONFIG", "SET", "maxmemory", "0")),
    }


def _pair(begin: Callable[[], object], end: Callable[[], object]) -> Fault:
    async def fault() -> Heal:
        await asyncio.to_thread(begin)
        return lambda: asyncio.to_thread(end)

    return fault


def _on_all(
    links: Iterable[FaultProxy], begin: Callable[[FaultProxy], object]
) -> tuple[Callable[[], object], Callable[[], object]]:
    found = list(links)
    return (lambda: [begin(link) for link in found]), (lambda: [link.heal() for link in found])
