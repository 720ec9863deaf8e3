"""Keeps one connection to the server, in the background: requests use what is there, and never wait for a new one."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import hiredis

from gateway_proxy.core.reaching import reach
from gateway_proxy.core.tasks import wait_for_event
from gateway_proxy.shared.address import Address
from gateway_proxy.shared.resp import Command, Connection, Disconnected, Late, Part, Reply, TooSlow
from gateway_proxy.shared.scripts import ALL, Script

log = logging.getLogger("gateway_proxy.shared")

CONNECT_SECONDS = 1.0
SILENT_SECONDS = 1.0  # a connection whose oldest command has no answer for so long is given up
_WATCH_SECONDS = 0.2
_FATAL = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "UNBLOCKED")


class Refused(Exception):
    """The server does not do it: out of memory, read only, no such right. The text is the server's."""


class Link:
    """`run` it as a task. `generation` counts connections; `run_id` is the server process's own name for itself."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.connection: Connection | None = None
        self.generation = 0
        self.run_id = ""
        self.server = ""
        self.error = "not connected yet"
        self.evicts = ""  # the server's maxmemory policy where it may throw leases away
        self.on_change: Callable[[], None] = lambda: None
        self._gone = asyncio.Event()

    @property
    def is_usable(self) -> bool:
        """Whether a command that is sent now is likely to be answered in time."""
        connection = self.connection
        return connection is not None and not connection.is_slow

    async def run(self) -> None:
        """Connect, again and again. Runs until cancelled."""
        while True:
            reached = await reach(self._attempt, _Reached.close, "reach the shared counters")
            connection = reached.connection
            if not connection.is_open:
                continue
            self.run_id, self.server, self.evicts = reached.run_id, reached.server, reached.evicts
            if self.evicts:
                log.error(
                    "ALARM: %s throws keys away when it is full (%s): set maxmemory-policy noeviction",
                    self.address,
                    self.evicts,
                )
            log.info("shared counters: connected to %s (%s)", self.address, self.server)
            self.error = ""
            self.generation += 1
            self.connection = connection
            self.on_change()
            try:
                await self._watch(connection)
            finally:
                self.connection = None
                connection.close()
            self.on_change()

    def request(
        self, command: Command, timeout_seconds: float, late: Late | None = None
    ) -> "asyncio.Future[Reply]":
        """See Connection.request. Raises Disconnected."""
        if self.connection is None:
            raise Disconnected
        return self.connection.request(command, timeout_seconds, late)

    def tell(self, command: Command, late: Late | None = None) -> None:
        """See Connection.tell. Raises Disconnected."""
        if self.connection is None:
            raise Disconnected
        self.connection.tell(command, late)

    async def call(self, command: Command, timeout_seconds: float = CONNECT_SECONDS) -> Reply:
        """For what is not on a request's path. Raises Disconnected, TooSlow, Refused."""
        reply = await self.request(command, timeout_seconds)
        self.examine(reply)
        return reply

    def examine(self, reply: Reply) -> None:
        """Raises Refused for an error reply; has the scripts loaded, or a new connection made, where that mends it."""
        if not isinstance(reply, hiredis.ReplyError):
            return
        said = str(reply)
        if said.startswith("NOSCRIPT") and self.connection is not None:
            for script in ALL:
                with suppress(Disconnected):
                    self.connection.tell(("SCRIPT", "LOAD", script.text))
        elif said.startswith(_FATAL) and self.connection is not None:
            self.error = said
            self.connection.close()
        raise Refused(said)

    async def _attempt(self) -> "_Reached | None":
        try:
            connection = await self._connect()
            try:
                return await self._introduce(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, TimeoutError, Disconnected, TooSlow, Refused, ValueError) as error:
            said = str(error) or "it does not answer"
            if said != self.error:
                log.error("shared counters at %s: %s", self.address, said)
            self.error = said
            return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        address = self.address
        async with asyncio.timeout(CONNECT_SECONDS):
            if address.path:
                _, connection = await loop.create_unix_connection(
                    lambda: Connection(self._lose), address.path
                )
            else:
                name = address.host if address.tls is not None else None
                _, connection = await loop.create_connection(
                    lambda: Connection(self._lose),
                    address.host,
                    address.port,
                    ssl=address.tls,
                    server_hostname=name,
                )
        return connection

    async def _introduce(self, connection: Connection) -> "_Reached":
        """Sign in, learn who the server is, load the scripts: one round trip."""
        commands: list[tuple[Part, ...]] = []
        address = self.address
        if address.user or address.password:  # a user may have none, and is not the default one
            commands.append(("AUTH", *((address.user,) if address.user else ()), address.password))
        if address.database:
            commands.append(("SELECT", address.database))
        commands += [("SCRIPT", "LOAD", script.text) for script in ALL]
        commands.append(("INFO",))
        replies = [connection.request(command, CONNECT_SECONDS) for command in commands]
        # Each is waited for, so that none is left with an exception that nobody saw.
        outcomes = await asyncio.gather(*replies, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Disconnected | TooSlow):
                raise outcome
            if isinstance(outcome, BaseException):
                raise Refused(str(outcome))
        facts = outcomes[-1]
        assert isinstance(facts, bytes)
        return _learn(connection, facts.decode("utf-8", "replace"))

    async def _watch(self, connection: Connection) -> None:
        """Returns when the connection is gone, or silent for too long: it may be half-open."""
        while connection.is_open:
            if connection.silent_seconds() > SILENT_SECONDS:
                self.error = f"no answer for {SILENT_SECONDS:.0f} s"
                log.error("shared counters at %s: %s", self.address, self.error)
                return
            await wait_for_event(self._gone, _WATCH_SECONDS)
            self._gone.clear()

    def _lose(self, connection: Connection) -> None:
        if self.connection is connection:
            self.connection = None
            self.error = self.error or "the connection broke"
            log.error("shared counters at %s: %s", self.address, self.error)
            self.on_change()
            self._gone.set()


class _Reached(NamedTuple):
    """A connection, and what its server says of itself."""

    connection: Connection
    run_id: str
    server: str
    evicts: str

    def close(self) -> None:
        self.connection.close()


def _learn(connection: Connection, text: str) -> _Reached:
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if facts.get("role", "master") != "master":
        raise Refused("it is a replica: name the primary in shared.redis_url")
    if facts.get("loading", "0") != "0":
        raise Refused("it is still loading its data")
    if facts.get("cluster_enabled", "0") != "0":
        raise Refused("it is a cluster, and the counters need one server: name a server that is none")
    name = "Valkey" if "valkey_version" in facts else "Redis"
    server = f"{name} {facts.get('valkey_version') or facts.get('redis_version', '?')}"
    policy = facts.get("maxmemory_policy", "noeviction")
    evicts = "" if policy == "noeviction" or facts.get("maxmemory", "0") == "0" else policy
    return _Reached(connection, facts.get("run_id", ""), server, evicts)


def call_of(script: Script, keys: tuple[str, ...], *arguments: Part) -> tuple[Part, ...]:
    """The command that runs a script."""
    return ("EVALSHA", script.digest, len(keys), *keys, *arguments)
